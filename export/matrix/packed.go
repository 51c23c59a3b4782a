package matrix

import (
	"bytes"
	"io"

	"mllm4rec/export/onnx"
)

// Packed is a quantised matrix.
type Packed struct {
	Numbers []byte
	// Scales and Zeros are of columns, or of blocks.
	Scales, Zeros []float32
}

func (p Packed) bytes() []byte { return p.Numbers }
func (p Packed) steps() []byte { return Encode(onnx.Float32, p.Scales) }
func (p Packed) zero() []byte  { return Encode(onnx.Float32, p.Zeros) }

// packed adds a part of a quantised matrix. The parts are written one after the other, and the matrix is made for the first.
func (w *Writer) packed(g *onnx.Graph, name string, m Matrix, dtype onnx.DType, pack func(Matrix) (Packed, error), part func(Packed) []byte, dims ...int64) onnx.Value {
	return g.Stream(m.Name+name, dtype, dims, func() (io.Reader, error) {
		if w.last != m.Parts[0].Tensor {
			p, err := pack(m)
			if err != nil {
				return nil, err
			}
			w.last, w.lastPacked = m.Parts[0].Tensor, p
		}
		return bytes.NewReader(part(w.lastPacked)), nil
	})
}
