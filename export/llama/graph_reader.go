package llama

import (
	"bytes"
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

// reader reads tensors with the adapter merged. Names and shapes are right: Open has compared them with the config.
type reader struct {
	source
	adapter *Adapter // nil: none
	// lastPacked is the quantised matrix that was made last, which begins with the layer lastModule.
	lastModule string
	lastPacked packed
}

// vectors streams tensors of one dimension one after the other.
func (r *reader) vectors(dtype onnx.DType, names ...string) func() (io.Reader, error) {
	return func() (io.Reader, error) {
		return &pieces{count: len(names), read: func(i int) ([]byte, error) {
			values, _, err := r.Float32(names[i])
			if err == nil {
				err = finite(names[i], values)
			}
			return encode(dtype, values), err
		}}, nil
	}
}

// stretchRows are read and converted together.
const stretchRows = 4096

// rows streams a tensor of two dimensions.
func (r *reader) rows(dtype onnx.DType, name string, rows int) func() (io.Reader, error) {
	return func() (io.Reader, error) {
		return &pieces{count: (rows + stretchRows - 1) / stretchRows, read: func(i int) ([]byte, error) {
			var some []int
			for row := i * stretchRows; row < min(rows, (i+1)*stretchRows); row++ {
				some = append(some, row)
			}
			values, err := r.Rows(name, some)
			if err == nil {
				err = finite(name, values)
			}
			return encode(dtype, values), err
		}}, nil
	}
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
			err = finite(name, values)
		}
		if err != nil {
			return nil, err
		}
		return bytes.NewReader(encodeTransposed(onnx.Float32, values, len(rows), in)), nil
	}
}

// transposed streams a matrix, [out, in] in the checkpoint, as [in, out].
func (r *reader) transposed(m matrix, dtype onnx.DType) func() (io.Reader, error) {
	return func() (io.Reader, error) {
		values, err := r.merged(m)
		if err != nil {
			return nil, err
		}
		return bytes.NewReader(encodeTransposed(dtype, values, m.out, m.in)), nil
	}
}

// merged reads a matrix, [out, in], with the adapter added.
func (r *reader) merged(m matrix) ([]float32, error) {
	var all []float32
	for _, p := range m.parts {
		name := p.module + ".weight"
		values, _, err := r.Float32(name)
		if err != nil {
			return nil, err
		}
		if pair, ok := r.pair(p.module); ok {
			pair.addTo(values, float32(r.adapter.Scale()))
		}
		if err := finite(name, values); err != nil {
			return nil, err
		}
		if len(m.parts) == 1 {
			return values, nil
		}
		all = append(all, values...)
	}
	return all, nil
}

// pair is what the adapter adds to a linear layer, where it does.
func (r *reader) pair(module string) (Pair, bool) {
	if r.adapter == nil {
		return Pair{}, false
	}
	pair, ok := r.adapter.Pairs[module]
	return pair, ok
}

// addTo adds scale · B · A to a weight, [out, in].
func (p Pair) addTo(weight []float32, scale float32) {
	parallel(p.Out, func(from, to int) {
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

// finite refuses values that are no numbers.
func finite(name string, values []float32) error {
	if at := slices.IndexFunc(values, func(v float32) bool { return v-v != 0 }); at >= 0 {
		return fail.Usagef("tensor %q: it holds %v: the checkpoint or the adapter is broken", name, values[at])
	}
	return nil
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
