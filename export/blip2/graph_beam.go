package blip2

import "mllm4rec/export/onnx"

// Beam search as Hugging Face's generate does it with length_penalty 1 and early_stopping False (transformers 5,
// GenerationMixin._beam_search): of all continuations the best candidates are kept, enough that as many as there are beams
// go on whatever ends; those that end among the best are done, ranked by log probability a token. It is over when no beam
// can get better than the worst caption that is done.

// unlikely is the score of what is out of the question, Hugging Face's number.
const unlikely = -1e9

// candidates are the best continuations: [batch, candidates].
type candidates struct {
	count  onnx.Dim
	tokens onnx.Value // int64 [batch, candidates, limit]
	scores onnx.Value // float32
	last   onnx.Value // int64: the token that is new
	parent onnx.Value // int64: the row that it continues
	stops  onnx.Value // bool: it ends
}

// beams is a round of beam search.
func (s step) beams(g *onnx.Graph, in search) (chosen, search) {
	c := s.continued(g, in)
	out := s.finished(g, in, c)
	scores := g.Add(c.scores, g.Mul(g.Cast(c.stops, onnx.Float32), g.Scalar(unlikely)))
	var pick onnx.Value
	out.scores, pick = g.TopK(scores, g.SizeOf(beams), 1, beams)
	out.running = s.take(g, c.tokens, pick, c.count)
	// HF's heuristic: the best beam, were it to end now.
	best := g.Div(g.Slice(out.scores, 1, 0, 1), s.tokensSoFar(g))
	worst := g.ReduceMin(out.best, 1, true)
	worst = g.Where(out.ended, worst, g.Scalar(unlikely))
	out.open = g.And(in.open, g.Unsqueeze(anyOf(g, g.Greater(best, worst)), 1))
	more := g.And(g.Not(all(g, g.Not(out.open))), g.Not(all(g, c.stops)))
	flat := func(v onnx.Value) onnx.Value { return g.Reshape(g.GatherElements(v, pick, 1), onnx.Dim{}) }
	return chosen{token: flat(c.last), parent: flat(c.parent), more: g.Squeeze(more, 0)}, out
}

// continued finds the best continuations of the running beams.
func (s step) continued(g *onnx.Graph, in search) candidates {
	vocabulary := onnx.Num(int64(s.Text.VocabSize))
	words := g.Reshape(g.LogSoftmax(s.logits, 1), batch, width, vocabulary)
	sums := g.Reshape(g.Add(words, g.Unsqueeze(in.scores, 2)), batch, onnx.Sym("continuations"))
	c := candidates{count: onnx.Sym("candidates")}
	each := g.Max(g.Ints(2), g.Add(g.SizeOf(ends), g.Ints(1)))
	var at onnx.Value
	c.scores, at = g.TopK(sums, g.Mul(g.SizeOf(beams), each), 1, c.count)
	size := g.Int(int64(s.Text.VocabSize))
	c.last = g.Mod(at, size)
	c.parent = g.Add(g.Div(at, size), s.offsets(g, width))
	running := g.Gather(g.Reshape(in.running, rows, limit), c.parent, 0)
	c.tokens = g.Where(g.Equal(s.places(g), s.i), g.Unsqueeze(c.last, 2), running)
	// The last round ends all, as their length does.
	end := g.GreaterOrEqual(g.Add(s.i, g.Int(1)), g.Squeeze(g.SizeOf(limit), 0))
	c.stops = g.Or(s.stop(g, c.last), end)
	return c
}

// finished puts the candidates that end among those that are done; of all the best are kept.
func (s step) finished(g *onnx.Graph, in search, c candidates) search {
	first := g.Less(g.Range(g.Int(0), g.Squeeze(g.SizeOf(c.count), 0), c.count), g.SizeOf(beams))
	ended := g.And(c.stops, first)
	impossible := func(v onnx.Value) onnx.Value { return g.Mul(g.Cast(g.Not(v), onnx.Float32), g.Scalar(unlikely)) }
	scores := g.Add(g.Add(g.Div(c.scores, s.tokensSoFar(g)), impossible(in.open)), impossible(ended))
	both := onnx.Sym("both")
	allScores := g.Assume(g.Concat(1, in.best, scores), batch, both)
	allTokens := g.Assume(g.Concat(1, in.done, c.tokens), batch, both, limit)
	allEnded := g.Assume(g.Concat(1, g.Cast(in.ended, onnx.Int32), g.Cast(ended, onnx.Int32)), batch, both)
	out := in
	var pick onnx.Value
	out.best, pick = g.TopK(allScores, g.SizeOf(beams), 1, beams)
	out.done = s.take(g, allTokens, pick, both)
	out.ended = g.Cast(g.GatherElements(allEnded, pick, 1), onnx.Bool)
	return out
}

// take picks rows of v, [batch, n, limit]: [batch, picked, limit].
func (s step) take(g *onnx.Graph, v, pick onnx.Value, n onnx.Dim) onnx.Value {
	return g.Gather(g.Reshape(v, onnx.Dim{}, limit), g.Add(pick, s.offsets(g, n)), 0)
}

// offsets are where the rows of each picture begin, [batch, 1], n a picture.
func (s step) offsets(g *onnx.Graph, n onnx.Dim) onnx.Value {
	return g.Unsqueeze(g.Mul(s.everyRow(g), g.SizeOf(n)), 1)
}

// tokensSoFar counts the tokens of a caption with this round's, float32 scalar.
func (s step) tokensSoFar(g *onnx.Graph) onnx.Value {
	return g.Cast(g.Add(s.i, g.Int(1)), onnx.Float32)
}
