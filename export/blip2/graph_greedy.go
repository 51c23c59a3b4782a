package blip2

import "mllm4rec/export/onnx"

// step is what a round's decision is made of.
type step struct {
	*builder
	stops   onnx.Value // int64 [ends]
	i       onnx.Value // the round's number
	logits  onnx.Value // [rows, vocabulary]
	parents onnx.Value // int64 [rows]
}

// greedy takes the likeliest word of each row, [batch = rows]; rows that have ended keep their padding.
func (s step) greedy(g *onnx.Graph, in search) (chosen, search) {
	token := g.Assume(g.ArgMax(s.logits, 1, false), batch)
	column := g.Assume(g.Unsqueeze(token, 1), batch, onnx.Num(1))
	going := g.Not(in.ended)
	here := g.And(g.Equal(s.places(g), s.i), g.Unsqueeze(going, 2)) // [batch, beams = 1, limit]
	out := in
	out.done = g.Where(here, g.Unsqueeze(column, 2), in.done)
	out.ended = g.Or(in.ended, s.stop(g, column))
	return chosen{token: token, parent: s.parents, more: g.Squeeze(g.Not(all(g, out.ended)), 0)}, out
}

// places are those of a caption's tokens, 0 … limit − 1.
func (s step) places(g *onnx.Graph) onnx.Value {
	return g.Range(g.Int(0), g.Squeeze(g.SizeOf(limit), 0), limit)
}

// stop says which tokens, [batch, n], end a caption.
func (s step) stop(g *onnx.Graph, tokens onnx.Value) onnx.Value {
	return anyOf(g, g.Equal(g.Unsqueeze(tokens, 2), s.stops))
}
