package llama

import (
	"bytes"
	"io"

	"mllm4rec/export/onnx"
)

// packed is a quantised matrix.
type packed struct {
	numbers       []byte
	scales, zeros []float32 // of columns, or of blocks
}

func (p packed) bytes() []byte { return p.numbers }
func (p packed) steps() []byte { return encode(onnx.Float32, p.scales) }
func (p packed) zero() []byte  { return encode(onnx.Float32, p.zeros) }

// packed adds a part of a quantised matrix. The parts are written one after the other, and the matrix is made for the first.
func (b *builder) packed(g *onnx.Graph, name string, m matrix, dtype onnx.DType, pack func(matrix) (packed, error), part func(packed) []byte, dims ...int64) onnx.Value {
	return g.Stream(m.name+name, dtype, dims, func() (io.Reader, error) {
		if b.lastModule != m.parts[0].module {
			p, err := pack(m)
			if err != nil {
				return nil, err
			}
			b.lastModule, b.lastPacked = m.parts[0].module, p
		}
		return bytes.NewReader(part(b.lastPacked)), nil
	})
}
