package llama

import (
	"errors"

	"mllm4rec/export/onnx"
	"mllm4rec/export/weights"
)

// INT4 keeps weights in blocks of 32 numbers with a scale each, and multiplies in float32: it saves memory, not time. A
// matrix of a GGUF file in 4-bit blocks (Q4_0, Q4_1) keeps them as they are. One that an adapter changes, or that the file
// holds in other blocks, gets 8-bit ones, which lose next to nothing; all others 4-bit ones.

// form is how a matrix is kept.
type form int

const (
	kept4 form = iota // the file's own blocks
	made4
	made8
	whole // rows are no whole blocks: float32
)

func (b *builder) form(m matrix) form {
	if m.in%blockSize != 0 {
		return whole
	}
	kept := true
	for _, p := range m.parts {
		dtype, _, err := b.Info(p.module + ".weight")
		if err != nil {
			return whole // whose reading tells
		}
		_, changed := b.pair(p.module)
		elements, _ := weights.DType(dtype).Block()
		four := weights.DType(dtype) == weights.Q4_0 || weights.DType(dtype) == weights.Q4_1
		if changed || elements > 1 && !four {
			return made8
		}
		kept = kept && four
	}
	if kept {
		return kept4
	}
	return made4
}

// int4 is products with matrices in blocks.
func (b *builder) int4(g *onnx.Graph, x onnx.Value, ms ...matrix) []onnx.Value {
	out := make([]onnx.Value, len(ms))
	for i, m := range ms {
		f := b.form(m)
		if f == whole {
			out[i] = b.plain(g, x, m)[0]
			continue
		}
		out[i] = g.MatMulNBits(x, b.blocks(g, m, f))
	}
	return out
}

// blocks adds a matrix in blocks.
func (b *builder) blocks(g *onnx.Graph, m matrix, f form) onnx.Blocks {
	in, out := int64(m.in), int64(m.out)
	bits := int64(4)
	if f == made8 {
		bits = 8
	}
	count := in / blockSize
	pack := func(m matrix) (packed, error) { return b.pack(m, f) }
	blocks := onnx.Blocks{
		N: out, K: in, Block: blockSize, Bits: bits, Level: 1,
		Packed: b.packed(g, "", m, onnx.Uint8, pack, packed.bytes, out, count, blockSize*bits/8),
		Scales: b.packed(g, "_scales", m, onnx.Float32, pack, packed.steps, out*count),
	}
	if bits == 4 {
		blocks.Zeros = b.packed(g, "_zeros", m, onnx.Float32, pack, packed.zero, out*count)
	}
	return blocks
}

// pack makes the blocks of a matrix, row by row.
func (r *reader) pack(m matrix, f form) (packed, error) {
	if f == kept4 {
		return r.keep(m)
	}
	values, err := r.merged(m)
	if err != nil {
		return packed{}, err
	}
	count := len(values) / blockSize
	p := packed{make([]byte, len(values)), make([]float32, count), make([]float32, count)}
	each := blockSize
	if f == made4 {
		each /= 2
	}
	parallel(count, func(from, to int) {
		for i := from; i < to; i++ {
			numbers, block := p.numbers[i*each:(i+1)*each], values[i*blockSize:(i+1)*blockSize]
			if f == made4 {
				p.scales[i], p.zeros[i] = block4(numbers, block)
			} else {
				p.scales[i] = block8(numbers, block)
			}
		}
	})
	p.numbers = p.numbers[:count*each]
	return p, nil
}

// keep takes a file's own blocks: a scale d, in Q4_1 a minimum m, and the numbers q, of which the first half lies in the low
// and the second in the high nibbles. They stand for d · q + m, in Q4_0 for d · (q − 8).
func (r *reader) keep(m matrix) (packed, error) {
	var p packed
	for _, part := range m.parts {
		name := part.module + ".weight"
		dtype, _, err := r.Info(name)
		if err != nil {
			return packed{}, err
		}
		raw, err := r.Blocks(name)
		if err != nil {
			return packed{}, err
		}
		for _, size := weights.DType(dtype).Block(); len(raw) > 0; raw = raw[size:] {
			d := half(raw)
			least := -8 * d
			if weights.DType(dtype) == weights.Q4_1 {
				least = half(raw[2:])
			}
			scale, zero := affine(d, least)
			p.scales, p.zeros = append(p.scales, scale), append(p.zeros, zero)
			p.numbers = interleave(p.numbers, raw[size-blockSize/2:size], d == 0)
		}
		if err := errors.Join(finite(name, p.scales), finite(name, p.zeros)); err != nil {
			return packed{}, err
		}
	}
	return p, nil
}

// interleave appends the numbers of a block with the even ones in the low halves; those of an empty block are 0.
func interleave(to, nibbles []byte, empty bool) []byte {
	if empty {
		return append(to, make([]byte, blockSize/2)...)
	}
	at := func(i int) byte { return nibbles[i%16] >> (i / 16 * 4) & 15 }
	for i := 0; i < blockSize; i += 2 {
		to = append(to, at(i)|at(i+1)<<4)
	}
	return to
}

func half(raw []byte) float32 {
	var v [1]float32
	_ = weights.F16.Decode(v[:], raw[:2])
	return v[0]
}
