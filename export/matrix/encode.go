package matrix

import (
	"encoding/binary"
	"math"
	"runtime"
	"sync"

	"mllm4rec/export/onnx"
	"mllm4rec/export/weights"
)

// Encode turns values into little-endian bytes of float32 or float16.
func Encode(dtype onnx.DType, values []float32) []byte {
	return EncodeTransposed(dtype, values, len(values), 1)
}

// EncodeTransposed is Encode of [rows, columns] turned into [columns, rows].
func EncodeTransposed(dtype onnx.DType, values []float32, rows, columns int) []byte {
	out := make([]byte, len(values)*int(dtype.Size()))
	put := func(at int, v float32) { binary.LittleEndian.PutUint32(out[4*at:], math.Float32bits(v)) }
	if dtype == onnx.Float16 {
		put = func(at int, v float32) { binary.LittleEndian.PutUint16(out[2*at:], weights.Half(v)) }
	}
	inSquares(rows, columns, func(r, c int) { put(c*rows+r, values[r*columns+c]) })
	return out
}

// transposed turns [rows, columns] into [columns, rows].
func transposed[T any](values []T, rows, columns int) []T {
	out := make([]T, len(values))
	inSquares(rows, columns, func(r, c int) { out[c*rows+r] = values[r*columns+c] })
	return out
}

func encodeInt8(values []int8) []byte {
	out := make([]byte, len(values))
	for i, v := range values {
		out[i] = byte(v)
	}
	return out
}

// inSquares visits all places of a matrix, in squares that stay in the cache, on all cores.
func inSquares(rows, columns int, visit func(r, c int)) {
	const side = 32
	Parallel((rows+side-1)/side, func(from, to int) {
		for top := from * side; top < min(to*side, rows); top += side {
			for left := 0; left < columns; left += side {
				for r := top; r < min(top+side, rows); r++ {
					for c := left; c < min(left+side, columns); c++ {
						visit(r, c)
					}
				}
			}
		}
	})
}

// Parallel has work do stretches of 0…n-1, one a core.
func Parallel(n int, work func(from, to int)) {
	cores := min(n, runtime.GOMAXPROCS(0))
	var group sync.WaitGroup
	for i := range cores {
		group.Go(func() { work(n*i/cores, n*(i+1)/cores) })
	}
	group.Wait()
}
