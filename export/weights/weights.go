// Package weights reads and writes model weights as safetensors files: named tensors with a data type and a shape, and
// a string map of metadata. The format is that of the safetensors project (an 8-byte little-endian header length, a JSON
// header, the tensors' bytes); a file from a stranger is checked whole before anything of its size is allocated.
package weights

import (
	"encoding/binary"
	"fmt"
	"math"
)

// DType is a data type under its safetensors name.
type DType string

// The data types that safetensors files may hold here. Any other is refused by name.
const (
	Bool DType = "BOOL"
	U8   DType = "U8"
	I8   DType = "I8"
	U16  DType = "U16"
	I16  DType = "I16"
	F16  DType = "F16"
	BF16 DType = "BF16"
	U32  DType = "U32"
	I32  DType = "I32"
	F32  DType = "F32"
	U64  DType = "U64"
	I64  DType = "I64"
	F64  DType = "F64"
)

var sizes = map[DType]int64{
	Bool: 1, U8: 1, I8: 1, U16: 2, I16: 2, F16: 2, BF16: 2, U32: 4, I32: 4, F32: 4, U64: 8, I64: 8, F64: 8,
}

// Size is the bytes of one element, 0 for a type that this package does not know.
func (d DType) Size() int64 { return sizes[d] }

// Tensor is a named array: little-endian bytes in row-major order, len(Data) = product(Shape) × DType.Size().
// An empty Shape is a scalar.
type Tensor struct {
	Name  string
	DType DType
	Shape []int64
	Data  []byte
}

// FromFloat32 makes an F32 tensor. It copies values.
func FromFloat32(name string, shape []int64, values []float32) Tensor {
	data := make([]byte, 4*len(values))
	for i, v := range values {
		binary.LittleEndian.PutUint32(data[4*i:], math.Float32bits(v))
	}
	return Tensor{Name: name, DType: F32, Shape: shape, Data: data}
}

// byteSize is product(shape) × the element's size; ok is false where a dimension is negative or the product overflows.
func byteSize(dtype DType, shape []int64) (size int64, ok bool) {
	size = dtype.Size()
	for _, dim := range shape {
		if dim < 0 || dim > 0 && size > math.MaxInt64/dim {
			return 0, false
		}
		size *= dim
	}
	return size, true
}

// Convert turns an F32 tensor into F16 or BF16, rounding to the nearest, ties to even.
func (t *Tensor) Convert(dtype DType) error {
	values, err := t.Float32()
	if err != nil {
		return err
	}
	round := map[DType]func(float32) uint16{F16: Half, BF16: Bfloat}[dtype]
	if round == nil {
		return fmt.Errorf("tensor %s: no conversion to %s", t.Name, dtype)
	}
	data := make([]byte, 2*len(values))
	for i, v := range values {
		binary.LittleEndian.PutUint16(data[2*i:], round(v))
	}
	t.DType, t.Data = dtype, data
	return nil
}
