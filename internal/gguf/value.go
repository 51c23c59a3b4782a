package gguf

import (
	"fmt"
	"math"
)

// kind is the type of a metadata value, under the container's number for it.
type kind uint32

const (
	kindUint8   kind = 0
	kindInt8    kind = 1
	kindUint16  kind = 2
	kindInt16   kind = 3
	kindUint32  kind = 4
	kindInt32   kind = 5
	kindFloat32 kind = 6
	kindBool    kind = 7
	kindString  kind = 8
	kindArray   kind = 9
	kindUint64  kind = 10
	kindInt64   kind = 11
	kindFloat64 kind = 12
)

// maxDepth is how deep arrays may lie in arrays.
const maxDepth = 4

// smallest is the least that a value of the kind takes in the file, 0 for a kind that there is not.
func (k kind) smallest() int64 {
	switch k {
	case kindUint8, kindInt8, kindBool:
		return 1
	case kindUint16, kindInt16:
		return 2
	case kindUint32, kindInt32, kindFloat32:
		return 4
	case kindUint64, kindInt64, kindFloat64, kindString:
		return 8
	case kindArray:
		return 4 + 8
	}
	return 0
}

// value reads a value: uint8 … float64, bool, string, or a slice of one of these; arrays of arrays are []any.
func (r *reader) value(k kind, depth int) (any, error) {
	switch k {
	case kindString:
		return r.text()
	case kindArray:
		return r.array(depth)
	}
	if k.smallest() == 0 {
		return nil, fmt.Errorf("a value of kind %d, which the format does not have", k)
	}
	return r.number(k)
}

// number reads a number or a truth value.
func (r *reader) number(k kind) (any, error) {
	var b [8]byte
	if err := r.read(b[:k.smallest()]); err != nil {
		return nil, err
	}
	bits := uint64(0)
	for i := k.smallest() - 1; i >= 0; i-- {
		bits = bits<<8 | uint64(b[i])
	}
	switch k {
	case kindUint8:
		return uint8(bits), nil
	case kindInt8:
		return int8(bits), nil
	case kindUint16:
		return uint16(bits), nil
	case kindInt16:
		return int16(bits), nil
	case kindUint32:
		return uint32(bits), nil
	case kindInt32:
		return int32(bits), nil
	case kindFloat32:
		return math.Float32frombits(uint32(bits)), nil
	case kindUint64:
		return bits, nil
	case kindInt64:
		return int64(bits), nil
	case kindFloat64:
		return math.Float64frombits(bits), nil
	}
	if bits > 1 {
		return nil, fmt.Errorf("a truth value of %d, it must be 0 or 1", bits)
	}
	return bits == 1, nil
}

// array reads the kind and the count of an array and its elements.
func (r *reader) array(depth int) (any, error) {
	k, count := kind(r.uint32()), r.uint64()
	if r.err != nil {
		return nil, r.err
	}
	if k.smallest() == 0 {
		return nil, fmt.Errorf("an array of kind %d, which the format does not have", k)
	}
	if err := r.fits(count, k.smallest()); err != nil {
		return nil, fmt.Errorf("an array of %d: %w", count, err)
	}
	if depth >= maxDepth {
		return nil, fmt.Errorf("arrays in arrays more than %d deep", maxDepth)
	}
	return r.elements(k, int(count), depth+1)
}

func (r *reader) elements(k kind, count, depth int) (any, error) {
	switch k {
	case kindUint8:
		return elements[uint8](r, k, count, depth)
	case kindInt8:
		return elements[int8](r, k, count, depth)
	case kindUint16:
		return elements[uint16](r, k, count, depth)
	case kindInt16:
		return elements[int16](r, k, count, depth)
	case kindUint32:
		return elements[uint32](r, k, count, depth)
	case kindInt32:
		return elements[int32](r, k, count, depth)
	case kindFloat32:
		return elements[float32](r, k, count, depth)
	case kindBool:
		return elements[bool](r, k, count, depth)
	case kindString:
		return elements[string](r, k, count, depth)
	case kindUint64:
		return elements[uint64](r, k, count, depth)
	case kindInt64:
		return elements[int64](r, k, count, depth)
	case kindFloat64:
		return elements[float64](r, k, count, depth)
	}
	return elements[any](r, k, count, depth)
}

func elements[T any](r *reader, k kind, count, depth int) (any, error) {
	all := make([]T, count)
	for i := range all {
		v, err := r.value(k, depth)
		if err != nil {
			return nil, fmt.Errorf("element %d: %w", i, err)
		}
		all[i] = v.(T)
	}
	return all, nil
}
