package llama

import (
	"encoding/binary"
	"math"

	"mllm4rec/export/onnx"
	"mllm4rec/export/weights"
)

// encode turns values into little-endian bytes of float32 or float16.
func encode(dtype onnx.DType, values []float32) []byte {
	if dtype == onnx.Float16 {
		out := make([]byte, 2*len(values))
		for i, v := range values {
			binary.LittleEndian.PutUint16(out[2*i:], weights.Half(v))
		}
		return out
	}
	out := make([]byte, 4*len(values))
	for i, v := range values {
		binary.LittleEndian.PutUint32(out[4*i:], math.Float32bits(v))
	}
	return out
}

// transpose turns [rows, columns] into [columns, rows], in squares that stay in the cache.
func transpose(values []float32, rows, columns int) []float32 {
	const side = 32
	out := make([]float32, len(values))
	for top := 0; top < rows; top += side {
		for left := 0; left < columns; left += side {
			for r := top; r < min(top+side, rows); r++ {
				for c := left; c < min(left+side, columns); c++ {
					out[c*rows+r] = values[r*columns+c]
				}
			}
		}
	}
	return out
}
