package llama

import (
	"fmt"

	"mllm4rec/export/onnx"
)

// INT8 multiplies 8-bit activations by 8-bit weights. What is needed for the letters to come out as in float32:
//
//   - Each row of activations (a token) and each column of a matrix has a step of its own. One step for all tokens, which
//     is ONNX Runtime's own way, destroys the logits.
//   - Outliers, which widen the step for all others, are spread over blocks of up to 32 channels by a Hadamard matrix
//     before activations are rounded; the weights are turned along, so that the product is the same. This is the online
//     rotation of QuaRot (arXiv 2404.00456). It needs no prompts to calibrate with, and keeps more than moving outliers
//     into the norms (SmoothQuant, arXiv 2211.10438): of SmolLM2's logits, each letter's mean taken away, .95 of the
//     correlation with float32's remain, against .87, and .68 with neither.
//   - No pair of weights saturates the 16-bit sums of CPUs without VNNI: quantise8.
//
// The last layer, the letters' logits, the norms and attention stay in float32.

// turnBlock is the largest block that is turned.
const turnBlock = 32

// blockOf is the block in which rows of so many numbers are turned, a power of two.
func blockOf(in int) int { return min(turnBlock, in&-in) }

// rows counts the tokens of all prompts together.
var rows = onnx.Sym("rows")

// int8 is products in 8-bit numbers.
func (b *builder) int8(g *onnx.Graph, x onnx.Value, ms ...matrix) []onnx.Value {
	shape := x.Shape()
	q, step := b.quantised(g, x, ms[0].in)
	step = g.Unsqueeze(step, 1)
	out := make([]onnx.Value, len(ms))
	for i, m := range ms {
		w := b.packed(g, "", m, onnx.Int8, b.pack8, packed.bytes, int64(m.in), int64(m.out))
		steps := b.packed(g, "_steps", m, onnx.Float32, b.pack8, packed.steps, int64(m.out))
		product := g.MatMulIntegerToFloat(q, w, g.Scalar(1), steps, g.Byte(128))
		out[i] = g.Reshape(g.Mul(product, step), shape[0], shape[1], onnx.Num(int64(m.out)))
	}
	return out
}

// quantised turns x, [batch, length, in], and rounds it to 1…255 around 128, [rows, in], in steps that it returns, [rows].
func (b *builder) quantised(g *onnx.Graph, x onnx.Value, in int) (q, step onnx.Value) {
	if block := blockOf(in); block > 1 {
		blocks := g.Reshape(x, rows, onnx.Num(int64(in/block)), onnx.Num(int64(block)))
		x = g.MatMul(blocks, b.turner(block))
	}
	x = g.Reshape(x, rows, onnx.Num(int64(in)))
	peak := g.Max(g.ReduceMax(x, 1, false), g.Neg(g.ReduceMin(x, 1, false)))
	step = g.Mul(g.Max(peak, g.Scalar(1e-30)), g.Scalar(1./127))
	return g.QuantizeLinear(x, step, g.Expand(g.Byte(128), rows), 0), step
}

// turner is the Hadamard matrix of a block, one for all layers.
func (b *builder) turner(block int) onnx.Value {
	v, ok := b.turners[block]
	if !ok {
		name := fmt.Sprintf("turn%d", block)
		v = b.g.Float32(name, []int64{int64(block), int64(block)}, hadamard(block))
		b.turners[block] = v
	}
	return v
}

// pack8 turns and rounds a matrix: numbers [in, out], scales [out].
func (r *reader) pack8(m matrix) (packed, error) {
	values, err := r.merged(m)
	if err != nil {
		return packed{}, err
	}
	turn(values, blockOf(m.in))
	q, steps := make([]int8, len(values)), make([]float32, m.out)
	parallel(m.out, func(from, to int) {
		for o := from; o < to; o++ {
			steps[o] = quantise8(q[o*m.in:(o+1)*m.in], values[o*m.in:(o+1)*m.in])
		}
	})
	return packed{numbers: encodeInt8(transposed(q, m.out, m.in)), scales: steps}, nil
}
