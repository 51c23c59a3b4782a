package llama

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"mllm4rec/export/onnx"
	"mllm4rec/internal/fail"
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

// reader reads tensors with the adapter merged, and keeps the first error of those that are missing or of another shape.
type reader struct {
	source
	adapter *Adapter // nil: none
	path    string   // of the model that is written, for errors
	err     error
}

// tensor is a name in the checkpoint and the shape that the config asks for.
type tensor struct {
	name  string
	shape []int
}

// check looks for a tensor as the graph is built, long before it is read.
func (r *reader) check(t tensor) {
	if r.err != nil {
		return
	}
	_, shape, err := r.Info(t.name)
	if err != nil {
		r.err = err
		return
	}
	if !slices.EqualFunc(shape, t.shape, func(a int64, b int) bool { return a == int64(b) }) {
		r.err = fail.Usagef("%s: tensor %q has shape %v where the model's config asks for %v", r.path, t.name, shape, t.shape)
	}
}

// joined streams tensors one after the other, a stretch of rows at a time.
func (r *reader) joined(dtype onnx.DType, tensors ...tensor) func() (io.Reader, error) {
	for _, t := range tensors {
		r.check(t)
	}
	return func() (io.Reader, error) {
		var all []io.Reader
		for _, t := range tensors {
			if len(t.shape) == 1 {
				all = append(all, &pieces{count: 1, read: func(int) ([]byte, error) {
					values, err := r.finite(r.Float32(t.name))
					return encode(dtype, values), err
				}})
				continue
			}
			all = append(all, r.table(dtype, t))
		}
		return io.MultiReader(all...), nil
	}
}

// stretchRows are read and converted together.
const stretchRows = 4096

// table streams a tensor of two dimensions.
func (r *reader) table(dtype onnx.DType, t tensor) io.Reader {
	rows := t.shape[0]
	return &pieces{count: (rows + stretchRows - 1) / stretchRows, read: func(i int) ([]byte, error) {
		var some []int
		for row := i * stretchRows; row < min(rows, (i+1)*stretchRows); row++ {
			some = append(some, row)
		}
		values, err := r.Rows(t.name, some)
		if _, err = r.finite(values, nil, err); err != nil {
			return nil, fmt.Errorf("tensor %q, rows from %d on: %w", t.name, some[0], err)
		}
		return encode(dtype, values), nil
	}}
}

// columns streams some rows of a tensor of two dimensions as the columns of a float32 matrix.
func (r *reader) columns(t tensor, rows []int32) func() (io.Reader, error) {
	r.check(t)
	return func() (io.Reader, error) {
		wanted := make([]int, len(rows))
		for i, row := range rows {
			wanted[i] = int(row)
		}
		values, err := r.Rows(t.name, wanted)
		if _, err = r.finite(values, nil, err); err != nil {
			return nil, err
		}
		return bytes.NewReader(encode(onnx.Float32, transpose(values, len(rows), t.shape[1]))), nil
	}
}

// transposed streams a matrix, [out, in] in the checkpoint, as [in, out].
func (r *reader) transposed(m matrix, dtype onnx.DType) func() (io.Reader, error) {
	r.checkMatrix(m)
	return func() (io.Reader, error) {
		values, err := r.merged(m)
		if err != nil {
			return nil, err
		}
		return bytes.NewReader(encode(dtype, transpose(values, m.out, m.in))), nil
	}
}

func (r *reader) checkMatrix(m matrix) {
	for _, p := range m.parts {
		r.check(tensor{p.module + ".weight", []int{p.out, m.in}})
	}
}

// merged reads a matrix, [out, in], with the adapter added.
func (r *reader) merged(m matrix) ([]float32, error) {
	var all []float32
	for _, p := range m.parts {
		values, _, err := r.Float32(p.module + ".weight")
		if err != nil {
			return nil, err
		}
		if r.adapter != nil {
			if pair, ok := r.adapter.Pairs[p.module]; ok {
				pair.addTo(values, float32(r.adapter.Scale()))
			}
		}
		if _, err := r.finite(values, nil, nil); err != nil {
			return nil, fmt.Errorf("tensor %q: %w", p.module+".weight", err)
		}
		if len(m.parts) == 1 {
			return values, nil
		}
		all = append(all, values...)
	}
	return all, nil
}

// addTo adds scale · B · A to a weight, [out, in].
func (p Pair) addTo(weight []float32, scale float32) {
	for o := range p.Out {
		row := weight[o*p.In : (o+1)*p.In]
		for k := range p.Rank {
			factor := scale * p.B[o*p.Rank+k]
			for i, a := range p.A[k*p.In : (k+1)*p.In] {
				row[i] += factor * a
			}
		}
	}
}

// finite passes on what Float32 returned and refuses what is not a number.
func (r *reader) finite(values []float32, _ []int64, err error) ([]float32, error) {
	if err != nil {
		return nil, err
	}
	if at := slices.IndexFunc(values, func(v float32) bool { return v-v != 0 }); at >= 0 {
		return nil, fail.Usagef("element %d is %v", at, values[at])
	}
	return values, nil
}

// pieces is a stream that is made piece by piece.
type pieces struct {
	count, next int
	read        func(i int) ([]byte, error)
	left        []byte
}

// Read implements io.Reader.
func (s *pieces) Read(p []byte) (int, error) {
	for len(s.left) == 0 {
		if s.next == s.count {
			return 0, io.EOF
		}
		var err error
		if s.left, err = s.read(s.next); err != nil {
			return 0, err
		}
		s.next++
	}
	n := copy(p, s.left)
	s.left = s.left[n:]
	return n, nil
}
