package llama

import (
	"errors"

	"mllm4rec/export/matrix"
	"mllm4rec/export/weights"
)

// Form says how INT4 keeps a matrix. One of a GGUF file in 4-bit blocks (Q4_0, Q4_1) keeps them as they are. One that an
// adapter changes, or that the file holds in other blocks, gets 8-bit ones, which lose next to nothing; all others 4-bit ones.
func (r *reader) Form(m matrix.Matrix) matrix.Form {
	kept := true
	for _, p := range m.Parts {
		dtype, _, err := r.Info(p.Tensor)
		if err != nil {
			return matrix.Whole // whose reading tells
		}
		_, changed := r.pair(p.Tensor)
		elements, _ := weights.DType(dtype).Block()
		four := weights.DType(dtype) == weights.Q4_0 || weights.DType(dtype) == weights.Q4_1
		if changed || elements > 1 && !four {
			return matrix.Made8
		}
		kept = kept && four
	}
	if kept {
		return matrix.Kept4
	}
	return matrix.Made4
}

// Kept takes a file's own blocks: a scale d, in Q4_1 a minimum m, and the numbers q, of which the first half lies in the low
// and the second in the high nibbles. They stand for d · q + m, in Q4_0 for d · (q − 8).
func (r *reader) Kept(m matrix.Matrix) (matrix.Packed, error) {
	var p matrix.Packed
	for _, part := range m.Parts {
		name := part.Tensor
		dtype, _, err := r.Info(name)
		if err != nil {
			return matrix.Packed{}, err
		}
		raw, err := r.Blocks(name)
		if err != nil {
			return matrix.Packed{}, err
		}
		for _, size := weights.DType(dtype).Block(); len(raw) > 0; raw = raw[size:] {
			d := half(raw)
			least := -8 * d
			if weights.DType(dtype) == weights.Q4_1 {
				least = half(raw[2:])
			}
			scale, zero := affine(d, least)
			p.Scales, p.Zeros = append(p.Scales, scale), append(p.Zeros, zero)
			p.Numbers = interleave(p.Numbers, raw[size-matrix.BlockSize/2:size], d == 0)
		}
		if err := errors.Join(matrix.Finite(name, p.Scales), matrix.Finite(name, p.Zeros)); err != nil {
			return matrix.Packed{}, err
		}
	}
	return p, nil
}

// interleave appends the numbers of a block with the even ones in the low halves; those of an empty block are 0.
func interleave(to, nibbles []byte, empty bool) []byte {
	if empty {
		return append(to, make([]byte, matrix.BlockSize/2)...)
	}
	at := func(i int) byte { return nibbles[i%16] >> (i / 16 * 4) & 15 }
	for i := 0; i < matrix.BlockSize; i += 2 {
		to = append(to, at(i)|at(i+1)<<4)
	}
	return to
}

func half(raw []byte) float32 {
	var v [1]float32
	_ = weights.F16.Decode(v[:], raw[:2])
	return v[0]
}

// affine turns d · q + m into scale · (q − zero). Blocks of equal numbers have d 0, and q 0.
func affine(d, m float32) (scale, zero float32) {
	switch {
	case d != 0:
		return d, -m / d
	case m != 0:
		return m, -1
	}
	return 1, 0
}
