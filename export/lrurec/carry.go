package lrurec

import "mllm4rec/export/onnx"

// Carrying the state from chunk to chunk: s_m = λ^chunk s_{m−1} + t_m. Seen from a frame that turns by the angle of
// λ^chunk with every chunk, this is r_m = |λ|^chunk r_{m−1} + t'_m in real numbers, half as many operations.

// turned puts each chunk's states into the turning frame.
func (b *builder) turned(g *onnx.Graph, w *block, states onnx.Value) onnx.Value {
	return b.turn(g, "backward", states, w, 0, false)
}

// turn multiplies states [batch, chunks, 2·channels] of chunk first, first+1, … by e^(∓i·angle·chunk).
func (b *builder) turn(g *onnx.Graph, name string, states onnx.Value, w *block, first int, forward bool) onnx.Value {
	cos, sin := w.rotations(first, b.most, b.chunk, forward)
	shape := []int64{int64(b.most), int64(2 * b.LRUHidden)}
	halves := g.Split(states, 2, int64(b.LRUHidden), int64(b.LRUHidden))
	swapped := g.Concat(2, halves[1], halves[0])
	return g.Add(
		g.Mul(states, firstChunks(g, g.Float32(name+"_cos", shape, cos))),
		g.Mul(swapped, firstChunks(g, g.Float32(name+"_sin", shape, sin))))
}

// firstChunks takes as many rows of a table as there are chunks.
func firstChunks(g *onnx.Graph, table onnx.Value) onnx.Value {
	return g.SliceBy(table, 0, g.Ints(0), g.SizeOf(chunks), chunks)
}

// carryByScan goes from chunk to chunk in a loop of the runtime. It returns the state before each chunk,
// [batch, chunks, 2·channels], in the turning frame.
func carryByScan(g *onnx.Graph, w *block, turned onnx.Value, chunk, _ int) onnx.Value {
	width := turned.Dim(2)
	decay := g.Float32("decay", []int64{int64(2 * len(w.lambda))}, w.decay(chunk))
	zero := g.Expand(g.Scalar(0), batch, width)
	_, before := g.Scan([]onnx.Value{zero}, []onnx.Value{g.Transpose(turned, 1, 0, 2)},
		func(b *onnx.Graph, states, slices []onnx.Value) (next, out []onnx.Value) {
			return []onnx.Value{b.Add(b.Mul(states[0], decay), slices[0])}, states
		})
	if len(before) == 0 {
		return zero // a failure that the graph has noted
	}
	return g.Transpose(before[0], 1, 0, 2)
}
