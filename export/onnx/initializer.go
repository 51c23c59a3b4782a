package onnx

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// initializer is a weight: its bytes come from open, which Model.Write calls once a writing.
type initializer struct {
	name  string
	dtype DType
	dims  []int64
	bytes int64
	open  func() (io.Reader, error)
}

// Float32 adds a float32 weight. It keeps values.
func (g *Graph) Float32(name string, dims []int64, values []float32) Value {
	return g.slice(name, Float32, dims, len(values), func() []byte {
		b := make([]byte, 0, 4*len(values))
		for _, v := range values {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
		return b
	})
}

// Int64 adds an int64 weight. It keeps values.
func (g *Graph) Int64(name string, dims []int64, values []int64) Value {
	return g.slice(name, Int64, dims, len(values), func() []byte {
		b := make([]byte, 0, 8*len(values))
		for _, v := range values {
			b = binary.LittleEndian.AppendUint64(b, uint64(v))
		}
		return b
	})
}

// Raw adds a weight of little-endian bytes. It keeps data.
func (g *Graph) Raw(name string, dtype DType, dims []int64, data []byte) Value {
	size := max(1, int(dtype.Size()))
	return g.slice(name, dtype, dims, len(data)/size, func() []byte { return data })
}

func (g *Graph) slice(name string, dtype DType, dims []int64, elements int, data func() []byte) Value {
	if want, err := product(dims); err == nil && want != int64(elements) {
		return g.fail("weight %s: %d values do not fill shape %v", name, elements, dims)
	}
	return g.Stream(name, dtype, dims, func() (io.Reader, error) { return bytes.NewReader(data()), nil })
}

// Stream adds a weight whose little-endian bytes are read when the model is written, and never held whole. open may be
// called more than once; a reader that is an io.Closer is closed.
func (g *Graph) Stream(name string, dtype DType, dims []int64, open func() (io.Reader, error)) Value {
	elements, err := product(dims)
	if err == nil && (dtype.Size() == 0 || elements > math.MaxInt64/dtype.Size()) {
		err = fmt.Errorf("%v of %v is too large or of no known type", dims, dtype)
	}
	if err != nil {
		return g.fail("weight %s: %w", name, err)
	}
	// Weights live in the outermost graph, where every subgraph sees them.
	root := &Graph{body: g.model.root.body, prefix: g.prefix}
	v, ok := root.declare(name, Type{dtype, Nums(dims...)})
	if ok {
		w := &initializer{name: v.name, dtype: dtype, dims: dims, bytes: elements * dtype.Size(), open: open}
		g.model.initializers = append(g.model.initializers, w)
	}
	return v
}

func product(dims []int64) (int64, error) {
	n := int64(1)
	for _, d := range dims {
		if d < 0 || d > 0 && n > math.MaxInt64/d {
			return 0, fmt.Errorf("shape %v is negative or overflows", dims)
		}
		n *= d
	}
	return n, nil
}

// Scalar is a float32 constant without dimensions.
func (g *Graph) Scalar(v float32) Value {
	return g.constant(fmt.Sprint("float_", v), func(root *Graph, name string) Value {
		return root.Float32(name, nil, []float32{v})
	})
}

// Byte is a uint8 constant without dimensions.
func (g *Graph) Byte(v uint8) Value {
	return g.constant(fmt.Sprint("byte_", v), func(root *Graph, name string) Value { return root.Raw(name, Uint8, nil, []byte{v}) })
}

// Int is an int64 constant without dimensions.
func (g *Graph) Int(v int64) Value {
	return g.constant(fmt.Sprint("int_", v), func(root *Graph, name string) Value {
		return root.Int64(name, nil, []int64{v})
	})
}

// Ints is an int64 constant [len(values)].
func (g *Graph) Ints(values ...int64) Value {
	name := "ints"
	for _, v := range values {
		name += fmt.Sprint("_", v)
	}
	return g.constant(name, func(root *Graph, name string) Value {
		return root.Int64(name, []int64{int64(len(values))}, values)
	})
}

// constant adds a small weight once, however often it is asked for.
func (g *Graph) constant(name string, add func(root *Graph, name string) Value) Value {
	if v, ok := g.model.constants[name]; ok {
		return v
	}
	v := add(g.model.root, "const/"+name)
	g.model.constants[name] = v
	return v
}

// SizeOf is the size of a dimension when the model runs, int64 [1]. A named dimension is read from a value that has it,
// of this graph or else of the nearest one around it: within a loop a name may stand for another size each round.
func (g *Graph) SizeOf(d Dim) Value {
	if n, ok := d.Size(); ok {
		return g.Ints(n)
	}
	for b := g.body; b != nil; b = b.parent {
		if v, ok := b.sizes[d.name]; ok {
			return v
		}
		if from, ok := b.carriers[d.name]; ok {
			v := (&Graph{body: b}).shapeAt(from.value, from.axis)
			b.sizes[d.name] = v
			return v
		}
	}
	return g.fail("no value has dimension %v", d)
}

// shapeAt reads one dimension of v.
func (g *Graph) shapeAt(v Value, axis int) Value {
	c := call{op: "Shape", inputs: []Value{v}, attrs: attrs(attrInt("start", int64(axis)), attrInt("end", int64(axis)+1))}
	return g.add1(c, func() (Type, error) { return Type{Int64, Nums(1)}, nil })
}
