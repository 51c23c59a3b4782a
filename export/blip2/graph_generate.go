package blip2

import (
	"slices"

	"mllm4rec/export/onnx"
)

// Captions are decoded in a Loop of the graph, so that keys and values never leave the device and a batch is one run (see
// BenchmarkDecoding for what that costs on a CPU). The first round is fed all that stands before the words, the others the
// words of the round before; every weight has one node that reads it, since ONNX Runtime packs matrices anew for each.

// search is what decoding carries from round to round beside keys and values. Width is 1 in the first round, and the
// beams' number in the others: all beams begin as one.
type search struct {
	running onnx.Value // int64 [batch, width, limit]: beams that go on; greedy decoding has none
	scores  onnx.Value // float32 [batch, width]: their log probabilities
	done    onnx.Value // int64 [batch, beams, limit]: captions that have ended, best first; of greedy decoding the caption
	best    onnx.Value // float32 [batch, beams]: their scores
	ended   onnx.Value // bool [batch, beams]: which of them there are
	open    onnx.Value // bool [batch, 1]: beams that go on may still become better than those
}

func (s search) values() []onnx.Value {
	return []onnx.Value{s.running, s.scores, s.done, s.best, s.ended, s.open}
}

func newSearch(v []onnx.Value) search { return search{v[0], v[1], v[2], v[3], v[4], v[5]} }

// width counts the beams of a round.
var width = onnx.Sym("width")

// named gives the dimensions of a round their names.
func (s search) named(g *onnx.Graph) search {
	return search{
		running: g.Assume(s.running, batch, width, limit), scores: g.Assume(s.scores, batch, width),
		done: g.Assume(s.done, batch, beams, limit), best: g.Assume(s.best, batch, beams),
		ended: g.Assume(s.ended, batch, beams), open: g.Assume(s.open, batch, onnx.Num(1)),
	}
}

// chosen is what a round decides: the next round's tokens and the rows of keys and values they go on from, int64 [rows],
// and whether there is one, a boolean scalar.
type chosen struct{ token, parent, more onnx.Value }

// generate decodes behind prefix, [batch, n, hidden]: tokens int64 [batch, limit], and the last round's logits,
// [rows, vocabulary], where parts are asked for.
func (b *builder) generate(prefix, blank, stops onnx.Value) (tokens, logits onnx.Value) {
	g := b.g
	states := carried{
		fed: prefix, parents: b.everyRow(g), sound: g.Greater(g.Ints(1), g.Ints(0)), search: b.begin(blank), cache: b.noCache(g),
	}
	if b.parts {
		states.logits = g.Expand(g.Scalar(0), batch, onnx.Num(int64(b.Text.VocabSize)))
	}
	last := g.Loop(g.Squeeze(g.SizeOf(limit), 0), b.loosen(states.values()), func(g *onnx.Graph, i onnx.Value, in []onnx.Value) (onnx.Value, []onnx.Value) {
		more, next := b.round(g, i, stops, b.newCarried(in))
		return more, next.values()
	})
	end := b.newCarried(last)
	best := g.Squeeze(g.Slice(g.Assume(end.search.done, batch, beams, limit), 1, 0, 1), 1)
	return g.Where(end.sound, best, g.Ints(-1)), end.logits
}

// carried is what goes from round to round.
type carried struct {
	fed     onnx.Value // [rows, n, hidden]: what the next round reads
	parents onnx.Value // int64 [rows]: behind which rows of the cache
	sound   onnx.Value // bool [1]: all logits so far were numbers
	search  search
	cache   []onnx.Value // keys and values of each layer, [rows of the round before, heads, past, head size]
	logits  onnx.Value   // [rows, vocabulary], where parts are asked for
}

func (c carried) values() []onnx.Value {
	all := slices.Concat([]onnx.Value{c.fed, c.parents, c.sound}, c.search.values(), c.cache)
	if c.logits.Name() != "" {
		all = append(all, c.logits)
	}
	return all
}

func (b *builder) newCarried(v []onnx.Value) carried {
	const fixed = 9
	c := carried{fed: v[0], parents: v[1], sound: v[2], search: newSearch(v[3:fixed]), cache: v[fixed : fixed+2*b.Text.Layers]}
	if b.parts {
		c.logits = v[len(v)-1]
	}
	return c
}

// loosen forgets the dimensions that are others in another round: all but numbers above 1.
func (b *builder) loosen(states []onnx.Value) []onnx.Value {
	for i, v := range states {
		shape := slices.Clone(v.Shape())
		for axis, d := range shape {
			if n, ok := d.Size(); !ok || n < 2 {
				shape[axis] = onnx.Dim{}
			}
		}
		states[i] = b.g.Assume(v, shape...)
	}
	return states
}

// noCache is keys and values before there are any, [batch, heads, 0, head size].
func (b *builder) noCache(g *onnx.Graph) []onnx.Value {
	heads, size := int64(b.Text.Heads), int64(b.Text.Hidden/b.Text.Heads)
	nothing := g.Expand(g.Raw("nothing", b.dtype, []int64{1, heads, 0, size}, nil), batch, onnx.Num(heads), onnx.Num(0), onnx.Num(size))
	return slices.Repeat([]onnx.Value{nothing}, 2*b.Text.Layers)
}

// round is one step of decoding.
func (b *builder) round(g *onnx.Graph, i, stops onnx.Value, in carried) (more onnx.Value, next carried) {
	heads, size := onnx.Num(int64(b.Text.Heads)), onnx.Num(int64(b.Text.Hidden/b.Text.Heads))
	in.fed = g.Assume(in.fed, rows, fed, in.fed.Dim(2))
	in.parents = g.Assume(in.parents, rows)
	in.search = in.search.named(g)
	before := make([]onnx.Value, len(in.cache))
	for k, v := range in.cache {
		before[k] = g.Assume(g.Gather(v, in.parents, 0), rows, heads, past, size)
	}
	logits, all := b.decoder(g, in.fed, before)
	next = carried{cache: all, sound: g.And(in.sound, b.finite(g, logits))}
	if b.parts {
		next.logits = logits
	}
	step := step{builder: b, stops: stops, i: i, logits: logits, parents: in.parents}
	decide := func(with func(*onnx.Graph, search) (chosen, search)) func(*onnx.Graph) []onnx.Value {
		return func(g *onnx.Graph) []onnx.Value {
			c, s := with(g, in.search)
			return append(s.values(), c.token, c.parent, c.more)
		}
	}
	out := g.If(g.Greater(g.SizeOf(beams), g.Ints(1)), decide(step.beams), decide(step.greedy))
	next.search = newSearch(out)
	token := g.Assume(out[6], onnx.Sym("next"))
	next.parents = out[7]
	next.fed = g.Unsqueeze(b.embed(g, token), 1)
	return out[8], next
}

// finite says whether the logits are numbers, bool [1].
func (b *builder) finite(g *onnx.Graph, logits onnx.Value) onnx.Value {
	peak := g.ReduceMax(logits, 1, false)
	off := g.Sub(peak, peak) // not 0 for infinity and NaN
	return all(g, g.Equal(off, g.Scalar(0)))
}

// all says whether all of v, of any shape, is true: bool [1].
func all(g *onnx.Graph, v onnx.Value) onnx.Value {
	flat := g.Reshape(g.Cast(v, onnx.Int32), onnx.Dim{})
	return g.Cast(g.ReduceMin(flat, 0, true), onnx.Bool)
}

// anyOf says whether any of v is true along its last axis, which goes.
func anyOf(g *onnx.Graph, v onnx.Value) onnx.Value {
	return g.Cast(g.ReduceMax(g.Cast(v, onnx.Int32), -1, false), onnx.Bool)
}

// begin is the search before the first round.
func (b *builder) begin(blank onnx.Value) search {
	g := b.g.Scope("begin")
	return search{
		running: g.Slice(blank, 1, 0, 1),
		scores:  g.Expand(g.Scalar(0), batch, onnx.Num(1)),
		done:    blank,
		best:    g.Expand(g.Scalar(unlikely), batch, beams),
		ended:   g.Expand(g.Greater(g.Int(0), g.Int(1)), batch, beams),
		open:    g.Expand(g.Greater(g.Int(1), g.Int(0)), batch, onnx.Num(1)),
	}
}

// everyRow is 0, 1 … batch − 1.
func (b *builder) everyRow(g *onnx.Graph) onnx.Value {
	return g.Range(g.Int(0), g.Squeeze(g.SizeOf(batch), 0), batch)
}
