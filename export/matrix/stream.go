package matrix

import (
	"io"
	"slices"

	"mllm4rec/export/onnx"
	"mllm4rec/internal/fail"
)

// Vectors streams tensors of one dimension one after the other.
func Vectors(dtype onnx.DType, read func(name string) ([]float32, error), names ...string) func() (io.Reader, error) {
	return inPieces(dtype, len(names), func(i int) ([]float32, string, error) {
		values, err := read(names[i])
		return values, names[i], err
	})
}

// stretchRows are read and converted together.
const stretchRows = 4096

// Rows streams a tensor of two dimensions, a stretch of rows at a time.
func Rows(dtype onnx.DType, name string, rows int, read func(from, to int) ([]float32, error)) func() (io.Reader, error) {
	return inPieces(dtype, (rows+stretchRows-1)/stretchRows, func(i int) ([]float32, string, error) {
		values, err := read(i*stretchRows, min(rows, (i+1)*stretchRows))
		return values, name, err
	})
}

// inPieces streams values that are read piece by piece; name is the tensor that a piece is of.
func inPieces(dtype onnx.DType, count int, read func(i int) (values []float32, name string, err error)) func() (io.Reader, error) {
	return func() (io.Reader, error) {
		return &pieces{count: count, read: func(i int) ([]byte, error) {
			values, name, err := read(i)
			if err == nil {
				err = Finite(name, values)
			}
			return Encode(dtype, values), err
		}}, nil
	}
}

// Finite refuses values that are no numbers.
func Finite(name string, values []float32) error {
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
