// Package matrix puts the linear layers of checkpoints into ONNX graphs, in the precision that is asked for: in goes what
// reads a matrix, [out, in], out comes the product with it. Matrices are read one at a time, when the model is written.
package matrix

import (
	"bytes"
	"io"

	"mllm4rec/export/onnx"
	"mllm4rec/internal/fail"
)

// Precision is the form of a model's weights.
type Precision string

// The precisions.
const (
	FP32 Precision = "fp32"
	FP16 Precision = "fp16" // for GPUs: the CPU computes it in float32
	INT8 Precision = "int8" // for speed on CPUs: see int8.go
	INT4 Precision = "int4" // for memory on CPUs: see int4.go
)

// Precisions returns all of them.
func Precisions() []Precision { return []Precision{FP32, FP16, INT8, INT4} }

// Matrix is the weight of a linear layer, or of several that take the same input, stacked: [out, in].
type Matrix struct {
	// Name is what the weight is called in the graph; the scope of the graph comes before it.
	Name    string
	Parts   []Part
	In, Out int
}

// Part is one linear layer.
type Part struct {
	// Tensor is the weight's name in the checkpoint.
	Tensor string
	Out    int
}

// Source is what matrices are read from.
type Source interface {
	// Matrix reads a matrix, [out, in]. All values are finite.
	Matrix(m Matrix) ([]float32, error)
	// Form says in which blocks INT4 keeps a matrix whose rows are whole blocks.
	Form(m Matrix) Form
	// Kept reads a matrix of the form Kept4.
	Kept(m Matrix) (Packed, error)
}

// Products is how x, [batch, length, in], is multiplied by matrices: each result is [batch, length, out].
type Products func(g *onnx.Graph, x onnx.Value, ms ...Matrix) []onnx.Value

// Writer puts matrices of one model into its graph.
type Writer struct {
	source  Source
	turners map[int]onnx.Value // by size of block: see int8.go
	// lastPacked is the quantised matrix that was made last, which begins with the tensor last.
	last       string
	lastPacked Packed
}

// NewWriter makes the writer of one model.
func NewWriter(source Source) *Writer { return &Writer{source: source, turners: map[int]onnx.Value{}} }

// Products is that of a precision; one that is unknown is a usage error.
func (w *Writer) Products(p Precision) (Products, error) {
	switch p {
	case FP32, FP16:
		return w.Plain, nil
	case INT8:
		return w.int8, nil
	case INT4:
		return w.int4, nil
	}
	return nil, fail.Usagef("precision %q is none of %v", p, Precisions())
}

// Plain is products with matrices of x's own type.
func (w *Writer) Plain(g *onnx.Graph, x onnx.Value, ms ...Matrix) []onnx.Value {
	out := make([]onnx.Value, len(ms))
	for i, m := range ms {
		out[i] = g.MatMul(x, g.Stream(m.Name, x.DType(), []int64{int64(m.In), int64(m.Out)}, w.transposed(m, x.DType())))
	}
	return out
}

// transposed streams a matrix as [in, out].
func (w *Writer) transposed(m Matrix, dtype onnx.DType) func() (io.Reader, error) {
	return func() (io.Reader, error) {
		values, err := w.source.Matrix(m)
		if err != nil {
			return nil, err
		}
		return bytes.NewReader(EncodeTransposed(dtype, values, m.Out, m.In)), nil
	}
}
