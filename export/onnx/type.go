package onnx

import (
	"fmt"
	"strconv"
	"strings"
)

// DType is an element type, numbered as in ONNX's TensorProto.DataType.
type DType int32

// Element types.
const (
	Float32  DType = 1
	Uint8    DType = 2
	Int8     DType = 3
	Uint16   DType = 4
	Int16    DType = 5
	Int32    DType = 6
	Int64    DType = 7
	Bool     DType = 9
	Float16  DType = 10
	Float64  DType = 11
	Uint32   DType = 12
	Uint64   DType = 13
	BFloat16 DType = 16
)

var dtypes = map[DType]struct {
	name  string
	bytes int64
}{
	Float32: {"float32", 4}, Uint8: {"uint8", 1}, Int8: {"int8", 1}, Uint16: {"uint16", 2}, Int16: {"int16", 2},
	Int32: {"int32", 4}, Int64: {"int64", 8}, Bool: {"bool", 1}, Float16: {"float16", 2}, Float64: {"float64", 8},
	Uint32: {"uint32", 4}, Uint64: {"uint64", 8}, BFloat16: {"bfloat16", 2},
}

// String is the type's name as NumPy writes it.
func (t DType) String() string {
	if known, ok := dtypes[t]; ok {
		return known.name
	}
	return "type" + strconv.Itoa(int(t))
}

// Size is the bytes of one element, 0 for a type that is unknown here.
func (t DType) Size() int64 { return dtypes[t].bytes }

// isFloat says whether t is a floating-point type.
func (t DType) isFloat() bool { return t == Float32 || t == Float16 || t == BFloat16 || t == Float64 }

// Dim is one dimension of a shape: a number, or a name for a size that is known only when the model runs. Equal names in
// a model mean equal sizes. The zero Dim is unknown and fits everything.
type Dim struct {
	name string
	size int64 // size + 1, so that the zero Dim is unknown
}

// Num is a dimension of n elements.
func Num(n int64) Dim { return Dim{size: n + 1} }

// Sym is a named dimension.
func Sym(name string) Dim { return Dim{name: name} }

// Size is the dimension's number; ok is false where it has none.
func (d Dim) Size() (n int64, ok bool) { return d.size - 1, d.size > 0 }

// String is the number, the name, or "?".
func (d Dim) String() string {
	switch {
	case d.name != "":
		return d.name
	case d.size > 0:
		return strconv.FormatInt(d.size-1, 10)
	}
	return "?"
}

func (d Dim) unknown() bool { return d == Dim{} }

// fits says whether d and e can be the same size.
func (d Dim) fits(e Dim) bool { return d == e || d.unknown() || e.unknown() }

// Shape is the dimensions of a tensor, outermost first; an empty one is a scalar.
type Shape []Dim

// Nums is a shape of numbers.
func Nums(sizes ...int64) Shape {
	shape := make(Shape, len(sizes))
	for i, n := range sizes {
		shape[i] = Num(n)
	}
	return shape
}

// String is like "[batch, length, 64]".
func (s Shape) String() string {
	names := make([]string, len(s))
	for i, d := range s {
		names[i] = d.String()
	}
	return "[" + strings.Join(names, ", ") + "]"
}

// fits says whether s and t have the same rank and no two dimensions that differ.
func (s Shape) fits(t Shape) bool {
	if len(s) != len(t) {
		return false
	}
	for i := range s {
		if !s[i].fits(t[i]) {
			return false
		}
	}
	return true
}

// axis turns an axis counted from the end (negative) into one from the start.
func (s Shape) axis(axis int) (int, error) {
	at := axis
	if at < 0 {
		at += len(s)
	}
	if at < 0 || at >= len(s) {
		return 0, fmt.Errorf("axis %d of rank %d", axis, len(s))
	}
	return at, nil
}

// with is a copy of s whose dimension at axis is d.
func (s Shape) with(axis int, d Dim) Shape {
	t := append(Shape{}, s...)
	t[axis] = d
	return t
}

// broadcast is the shape that s and t take together by NumPy's rules. Names broadcast with themselves and with 1 only.
func broadcast(s, t Shape) (Shape, error) {
	if len(s) < len(t) {
		s, t = t, s
	}
	out := append(Shape{}, s...)
	for i, b := range t {
		at := len(s) - len(t) + i
		a := s[at]
		switch {
		case a == b || b == Num(1):
		case a == Num(1):
			out[at] = b
		case a.unknown():
			out[at] = b
		case b.unknown():
		default:
			return nil, fmt.Errorf("dimensions %v and %v do not broadcast", a, b)
		}
	}
	return out, nil
}

// Type is an element type with a shape.
type Type struct {
	DType DType
	Shape Shape
}

// String is like "float32[batch, 64]".
func (t Type) String() string { return t.DType.String() + t.Shape.String() }
