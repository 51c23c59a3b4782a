package blip2

import (
	"io"
	"slices"

	"mllm4rec/export/matrix"
	"mllm4rec/export/onnx"
)

// source is what a graph takes its weights from: a *Checkpoint, or what a test makes up.
type source interface {
	Config() Config
	Pictures() Pictures
	Values(name string) ([]float32, error)
	Rows(name string, from, to int) ([]float32, error)
	Fingerprint() string
}

// reader reads tensors. Names and shapes are right: Open has compared them with the config.
type reader struct{ source }

// whole streams tensors one after the other.
func (r *reader) whole(dtype onnx.DType, names ...string) func() (io.Reader, error) {
	return matrix.Vectors(dtype, r.Values, names...)
}

// rows streams a tensor of two dimensions.
func (r *reader) rows(dtype onnx.DType, name string, rows int) func() (io.Reader, error) {
	return matrix.Rows(dtype, name, rows, func(from, to int) ([]float32, error) { return r.Rows(name, from, to) })
}

// Matrix reads a matrix, [out, in].
func (r *reader) Matrix(m matrix.Matrix) ([]float32, error) {
	var all []float32
	for _, p := range m.Parts {
		values, err := r.Values(p.Tensor)
		if err == nil {
			err = matrix.Finite(p.Tensor, values)
		}
		if err != nil || len(m.Parts) == 1 {
			return values, err
		}
		all = append(all, values...)
	}
	return all, nil
}

// Form says how INT4 keeps a matrix: that of the words' logits, which a caption hangs on, in 8 bits.
func (r *reader) Form(m matrix.Matrix) matrix.Form {
	if slices.ContainsFunc(m.Parts, func(p matrix.Part) bool { return p.Tensor == headName || p.Tensor == embeddingName }) {
		return matrix.Swift8
	}
	return matrix.Made4
}

// Kept is never asked for: no form is matrix.Kept4.
func (r *reader) Kept(m matrix.Matrix) (matrix.Packed, error) { return matrix.Packed{}, nil }
