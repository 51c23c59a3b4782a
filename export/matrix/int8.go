package matrix

import (
	"fmt"

	"mllm4rec/export/onnx"
)

// INT8 multiplies 8-bit activations by 8-bit weights. What is needed for the logits to come out as in float32:
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
// Norms and attention stay in float32.

// turnBlock is the largest block that is turned.
const turnBlock = 32

// blockOf is the block in which rows of so many numbers are turned, a power of two.
func blockOf(in int) int { return min(turnBlock, in&-in) }

// int8 is products in 8-bit numbers.
func (w *Writer) int8(g *onnx.Graph, x onnx.Value, ms ...Matrix) []onnx.Value {
	shape := x.Shape()
	if len(shape) != 3 {
		shape = make(onnx.Shape, 3) // of a node that was refused
	}
	q, step := w.quantised(g, x, onnx.Sym(fmt.Sprintf("%v*%v", shape[0], shape[1])), ms[0].In)
	step = g.Unsqueeze(step, 1)
	out := make([]onnx.Value, len(ms))
	for i, m := range ms {
		weight := w.packed(g, "", m, onnx.Int8, w.pack8, Packed.bytes, int64(m.In), int64(m.Out))
		steps := w.packed(g, "_steps", m, onnx.Float32, w.pack8, Packed.steps, int64(m.Out))
		product := g.MatMulIntegerToFloat(q, weight, g.Scalar(1), steps, g.Byte(128))
		out[i] = g.Reshape(g.Mul(product, step), shape[0], shape[1], onnx.Num(int64(m.Out)))
	}
	return out
}

// quantised turns x, [batch, length, in], and rounds it to 1…255 around 128, [rows, in], in steps that it returns, [rows].
func (w *Writer) quantised(g *onnx.Graph, x onnx.Value, rows onnx.Dim, in int) (q, step onnx.Value) {
	if block := blockOf(in); block > 1 {
		blocks := g.Reshape(x, rows, onnx.Num(int64(in/block)), onnx.Num(int64(block)))
		x = g.MatMul(blocks, w.turner(g, block))
	}
	x = g.Reshape(x, rows, onnx.Num(int64(in)))
	peak := g.Max(g.ReduceMax(x, 1, false), g.Neg(g.ReduceMin(x, 1, false)))
	step = g.Mul(g.Max(peak, g.Scalar(1e-30)), g.Scalar(1./127))
	return g.QuantizeLinear(x, step, g.Expand(g.Byte(128), rows), 0), step
}

// turner is the Hadamard matrix of a block, one for all layers.
func (w *Writer) turner(g *onnx.Graph, block int) onnx.Value {
	v, ok := w.turners[block]
	if !ok {
		v = g.Float32(fmt.Sprintf("turn%d", block), []int64{int64(block), int64(block)}, hadamard(block))
		w.turners[block] = v
	}
	return v
}

// pack8 turns and rounds a matrix: numbers [in, out], scales [out].
func (w *Writer) pack8(m Matrix) (Packed, error) {
	values, err := w.source.Matrix(m)
	if err != nil {
		return Packed{}, err
	}
	turn(values, blockOf(m.In))
	q, steps := make([]int8, len(values)), make([]float32, m.Out)
	Parallel(m.Out, func(from, to int) {
		for o := from; o < to; o++ {
			steps[o] = quantise8(q[o*m.In:(o+1)*m.In], values[o*m.In:(o+1)*m.In])
		}
	})
	return Packed{Numbers: encodeInt8(transposed(q, m.Out, m.In)), Scales: steps}, nil
}
