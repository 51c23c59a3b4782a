package matrix

import (
	"mllm4rec/export/onnx"
)

// INT4 keeps weights in blocks of 32 numbers with a scale each, and multiplies in float32: it saves memory, not time. The
// source says which matrices stand the loss of 4 bits; the others get 8-bit blocks, which lose next to nothing.
//
// Milliseconds that ONNX Runtime 1.27 takes for a matrix of 2560 × 10240 on one core without AVX-512, for 1, 8 and 128 rows:
// float32 9, 13, 102; Made4 8, 16, 104; Kept4 165, 181, 224; Made8 272, 267, 390; Swift8 4, 12, 153.

// Form is how a matrix is kept.
type Form int

// The forms.
const (
	Kept4  Form = iota // the file's own blocks, whose zeros are no whole numbers
	Made4              // 4-bit blocks
	Made8              // 8-bit blocks
	Swift8             // 8-bit blocks that are multiplied by activations in 8-bit blocks: for few rows at a time
	Whole              // float32
)

// int4 is products with matrices in blocks.
func (w *Writer) int4(g *onnx.Graph, x onnx.Value, ms ...Matrix) []onnx.Value {
	out := make([]onnx.Value, len(ms))
	for i, m := range ms {
		form := Whole
		if m.In%BlockSize == 0 {
			form = w.source.Form(m)
		}
		if form == Whole {
			out[i] = w.Plain(g, x, m)[0]
			continue
		}
		out[i] = g.MatMulNBits(x, w.blocks(g, m, form))
	}
	return out
}

// blocks adds a matrix in blocks.
func (w *Writer) blocks(g *onnx.Graph, m Matrix, form Form) onnx.Blocks {
	in, out := int64(m.In), int64(m.Out)
	bits, level := int64(4), int64(1)
	switch form {
	case Made8:
		bits = 8
	case Swift8:
		bits, level = 8, 4
	}
	count := in / BlockSize
	pack := func(m Matrix) (Packed, error) { return w.pack(m, form) }
	blocks := onnx.Blocks{
		N: out, K: in, Block: BlockSize, Bits: bits, Level: level,
		Packed: w.packed(g, "", m, onnx.Uint8, pack, Packed.bytes, out, count, BlockSize*bits/8),
		Scales: w.packed(g, "_scales", m, onnx.Float32, pack, Packed.steps, out*count),
	}
	switch form {
	case Kept4:
		blocks.Zeros = w.packed(g, "_zeros", m, onnx.Float32, pack, Packed.zero, out*count)
	case Made4:
		zeros := func(p Packed) []byte { return nibbles(p.Zeros, int(count)) }
		blocks.Zeros = w.packed(g, "_zeros", m, onnx.Uint8, pack, zeros, out*((count+1)/2))
	}
	return blocks
}

// pack makes the blocks of a matrix, row by row.
func (w *Writer) pack(m Matrix, form Form) (Packed, error) {
	if form == Kept4 {
		return w.source.Kept(m)
	}
	values, err := w.source.Matrix(m)
	if err != nil {
		return Packed{}, err
	}
	count := len(values) / BlockSize
	p := Packed{make([]byte, len(values)), make([]float32, count), make([]float32, count)}
	each := BlockSize
	if form == Made4 {
		each /= 2
	}
	Parallel(count, func(from, to int) {
		for i := from; i < to; i++ {
			numbers, block := p.Numbers[i*each:(i+1)*each], values[i*BlockSize:(i+1)*BlockSize]
			if form == Made4 {
				p.Scales[i], p.Zeros[i] = block4(numbers, block)
			} else {
				p.Scales[i] = block8(numbers, block)
			}
		}
	})
	p.Numbers = p.Numbers[:count*each]
	return p, nil
}
