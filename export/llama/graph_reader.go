package llama

import (
	"bytes"
	"io"
	"strings"

	"mllm4rec/export/matrix"
	"mllm4rec/export/onnx"
)

// source is what a graph takes its weights from: a *Checkpoint, or what a test makes up.
type source interface {
	Config() Config
	Float32(name string) ([]float32, []int64, error)
	Info(name string) (dtype string, shape []int64, err error)
	Blocks(name string) ([]byte, error)
	Rows(name string, rows []int) ([]float32, error)
	Fingerprint() string
}

// reader reads tensors with the adapter merged. Names and shapes are right: Open has compared them with the config.
type reader struct {
	source
	adapter *Adapter // nil: none
}

// vectors streams tensors of one dimension one after the other.
func (r *reader) vectors(dtype onnx.DType, names ...string) func() (io.Reader, error) {
	return matrix.Vectors(dtype, func(name string) ([]float32, error) {
		values, _, err := r.Float32(name)
		return values, err
	}, names...)
}

// rows streams a tensor of two dimensions.
func (r *reader) rows(dtype onnx.DType, name string, rows int) func() (io.Reader, error) {
	return matrix.Rows(dtype, name, rows, func(from, to int) ([]float32, error) {
		var some []int
		for row := from; row < to; row++ {
			some = append(some, row)
		}
		return r.Rows(name, some)
	})
}

// columns streams some rows of a tensor [out, in] as the columns of a float32 matrix.
func (r *reader) columns(name string, rows []int32, in int) func() (io.Reader, error) {
	return func() (io.Reader, error) {
		wanted := make([]int, len(rows))
		for i, row := range rows {
			wanted[i] = int(row)
		}
		values, err := r.Rows(name, wanted)
		if err == nil {
			err = matrix.Finite(name, values)
		}
		if err != nil {
			return nil, err
		}
		return bytes.NewReader(matrix.EncodeTransposed(onnx.Float32, values, len(rows), in)), nil
	}
}

// weightSuffix ends the name of a linear layer's weight.
const weightSuffix = ".weight"

// Matrix reads a matrix, [out, in], with the adapter added.
func (r *reader) Matrix(m matrix.Matrix) ([]float32, error) {
	var all []float32
	for _, p := range m.Parts {
		values, _, err := r.Float32(p.Tensor)
		if err != nil {
			return nil, err
		}
		if pair, ok := r.pair(p.Tensor); ok {
			pair.addTo(values, float32(r.adapter.Scale()))
		}
		if err := matrix.Finite(p.Tensor, values); err != nil {
			return nil, err
		}
		if len(m.Parts) == 1 {
			return values, nil
		}
		all = append(all, values...)
	}
	return all, nil
}

// pair is what the adapter adds to a linear layer's weight, where it does.
func (r *reader) pair(tensor string) (Pair, bool) {
	if r.adapter == nil {
		return Pair{}, false
	}
	pair, ok := r.adapter.Pairs[strings.TrimSuffix(tensor, weightSuffix)]
	return pair, ok
}

// addTo adds scale · B · A to a weight, [out, in].
func (p Pair) addTo(weight []float32, scale float32) {
	matrix.Parallel(p.Out, func(from, to int) {
		for o := from; o < to; o++ {
			row := weight[o*p.In : (o+1)*p.In]
			for k := range p.Rank {
				factor := scale * p.B[o*p.Rank+k]
				for i, a := range p.A[k*p.In : (k+1)*p.In] {
					row[i] += factor * a
				}
			}
		}
	})
}
