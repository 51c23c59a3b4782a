package lrurec

import (
	"fmt"
	"math"

	"mllm4rec/export/onnx"
)

// design is how the recurrence is laid out. The benchmark of this package compares designs.
type design struct {
	chunk int // positions whose recurrence is one matrix product
	// carry takes each chunk's states to the chunks after it, float32 [batch, chunks, 2·channels] both.
	carry func(g *onnx.Graph, w *block, turned onnx.Value, chunk, most int) onnx.Value
}

// designFor is what was fastest over lengths 5 to 200, for one user and for batches: with hidden 64, on one core and at
// length 50, chunks of 1, 4 and 16 serve 0.7, 0.9 and 0.7 times as many users a second as chunks of 8. Wider models take
// shorter chunks: the work inside a chunk is chunk · hidden² a position, that of the states 8 · hidden².
func designFor(hidden int) design {
	return design{chunk: max(1, min(8, 2048/hidden)), carry: carryByScan}
}

// Names of the dimensions: length is what comes in, padded is a multiple of the chunk and at most about max_length.
var (
	batch  = onnx.Sym("batch")
	length = onnx.Sym("length")
	padded = onnx.Sym("padded")
	chunks = onnx.Sym("chunks")
)

// builder holds what the blocks share.
type builder struct {
	*model
	design
	g     *onnx.Graph
	most  int        // chunks of the longest history
	seen  onnx.Value // int64 [batch, padded]: how many items stand up to and with each position
	total onnx.Value // int64 [batch]: how many items a history has
	real  onnx.Value // float32 [batch, padded, 1]: 1 at items, 0 at padding
}

// build makes the graph.
func (m *model) build(o Options, d design) *onnx.Graph {
	g := onnx.New(architecture)
	m.describe(g, d)
	items := g.Input("items", onnx.Int64, batch, length)
	b := &builder{model: m, design: d, g: g, most: (m.MaxLength + d.chunk - 1) / d.chunk}
	recent := b.count(items)
	table := g.Stream("item_inputs", onnx.Float32, []int64{int64(m.NumItems) + 1, int64(m.Hidden)}, m.table.normalized)
	x := g.Gather(table, recent, 0) // [batch, padded, hidden]
	for i := range m.blocks {
		scope := g.Scope(fmt.Sprintf("block%d", i))
		if i < len(m.blocks)-1 {
			x = b.everywhere(scope, &m.blocks[i], x)
		} else {
			x = b.last(scope, &m.blocks[i], x)
		}
	}
	scores := b.scores(g.Scope("scores"), x, items)
	if o.Scores {
		g.Output("scores", scores)
		return g
	}
	k := g.Input("k", onnx.Int64, onnx.Num(1))
	top, ids := g.TopK(scores, k, 1, onnx.Sym("k"))
	g.Output("top_items", ids)
	g.Output("top_scores", top)
	return g
}

// count cuts items to the newest, pads them on the left to whole chunks, and counts them.
func (b *builder) count(items onnx.Value) onnx.Value {
	g := b.g.Scope("history")
	newest := g.SliceBy(items, 1, g.Ints(int64(-b.MaxLength)), g.Ints(onnx.SliceToEnd), onnx.Sym("newest"))
	missing := g.Mod(g.Neg(g.SizeOf(onnx.Sym("newest"))), g.Ints(int64(b.chunk)))
	recent := g.PadFront(newest, 1, missing, padded)
	is := g.Greater(recent, g.Int(0))
	ones := g.Cast(is, onnx.Int64)
	b.seen = g.CumSum(ones, 1)
	b.total = g.ReduceSum(ones, 1, false)
	b.real = g.Unsqueeze(g.Cast(is, onnx.Float32), 2)
	return recent
}

// everywhere is a block at all positions: x and the result are [batch, padded, hidden], zero at padding.
func (b *builder) everywhere(g *onnx.Graph, w *block, x onnx.Value) onnx.Value {
	stacked := g.Reshape(x, batch, chunks, onnx.Num(int64(b.chunk*b.Hidden)))
	y := g.MatMul(stacked, b.weight(g, "within", w.within(b.chunk, b.Hidden), b.chunk*b.Hidden, b.chunk*b.Hidden))
	if b.most > 1 {
		several := g.Greater(g.SizeOf(chunks), g.Ints(1))
		y = g.If(several, func(g *onnx.Graph) []onnx.Value {
			return []onnx.Value{g.Add(y, b.carried(g, w, stacked))}
		}, func(*onnx.Graph) []onnx.Value {
			return []onnx.Value{y} // most histories of most shops are one chunk
		})[0]
	}
	y = g.Reshape(y, batch, padded, onnx.Num(int64(b.Hidden)))
	biases := b.weight(g, "bias_response", w.biasResponse(b.most*b.chunk, b.Hidden), b.most*b.chunk+1, b.Hidden)
	y = b.layerNorm(g, "norm", g.Add(y, g.Gather(biases, b.seen, 0)), w.norm)
	return g.Mul(b.feedForward(g, w, y, onnx.Sym("positions")), b.real)
}

// carried is what the chunks before add to each chunk's outputs: [batch, chunks, chunk·hidden].
func (b *builder) carried(g *onnx.Graph, w *block, stacked onnx.Value) onnx.Value {
	before := b.carry(g, w, b.turned(g, w, b.states(g, w, stacked)), b.chunk, b.most)
	before = b.turn(g, "forward", before, w, -1, true)
	return g.MatMul(before, b.weight(g, "from_state", w.fromState(b.chunk, b.Hidden), 2*b.LRUHidden, b.chunk*b.Hidden))
}

// states is what each chunk adds to the state: [batch, chunks, 2·channels].
func (b *builder) states(g *onnx.Graph, w *block, stacked onnx.Value) onnx.Value {
	return g.MatMul(stacked, b.weight(g, "into_state", w.intoState(b.chunk, b.Hidden), b.chunk*b.Hidden, 2*b.LRUHidden))
}

// last is a block at the last position: x is [batch, padded, hidden], the result [batch, hidden].
func (b *builder) last(g *onnx.Graph, w *block, x onnx.Value) onnx.Value {
	stacked := g.Reshape(x, batch, chunks, onnx.Num(int64(b.chunk*b.Hidden)))
	states := g.Unsqueeze(b.states(g, w, stacked), 2)
	weighting := g.Float32("weighting", []int64{int64(b.most), 2, int64(2 * b.LRUHidden)}, w.weighting(b.most, b.chunk))
	weighting = g.SliceBy(weighting, 0, g.Neg(g.SizeOf(chunks)), g.Ints(onnx.SliceToEnd), chunks)
	sums := g.ReduceSum(g.Mul(states, weighting), 1, false) // [batch, 2, 2·channels]
	sums = g.Reshape(sums, batch, onnx.Num(int64(4*b.LRUHidden)))
	y := g.MatMul(sums, b.weight(g, "from_weighted", w.fromWeighted(b.Hidden), 4*b.LRUHidden, b.Hidden))
	biases := b.weight(g, "bias_response", w.biasResponse(b.most*b.chunk, b.Hidden), b.most*b.chunk+1, b.Hidden)
	y = g.Add(y, g.Gather(biases, b.total, 0))
	newest := g.SliceBy(x, 1, g.Ints(-1), g.Ints(onnx.SliceToEnd), onnx.Num(1))
	y = g.Add(g.Unsqueeze(y, 1), newest)
	return g.Squeeze(b.feedForward(g, w, b.layerNorm(g, "norm", y, w.norm), batch), 1)
}

// feedForward is on [batch, positions, hidden]. The products are of matrices [rows, …], which take the biases in; the
// sum stays of rank 3, which ONNX Runtime fuses with the LayerNorm.
func (b *builder) feedForward(g *onnx.Graph, w *block, x onnx.Value, rows onnx.Dim) onnx.Value {
	d, inner := int64(b.Hidden), int64(w.inner)
	y := g.Reshape(x, rows, onnx.Num(d))
	y = g.Gemm(y, g.Float32("w1", []int64{inner, d}, w.w1), g.Float32("w1_bias", []int64{inner}, w.w1Bias), true)
	y = g.Gemm(g.Gelu(y), g.Float32("w2", []int64{d, inner}, w.w2), g.Float32("w2_bias", []int64{d}, w.w2Bias), true)
	return b.layerNorm(g, "feed_forward_norm", g.Add(g.Reshape(y, x.Shape()...), x), w.feedForwardLN)
}

func (b *builder) layerNorm(g *onnx.Graph, name string, x onnx.Value, n norm) onnx.Value {
	d := []int64{int64(b.Hidden)}
	return g.LayerNorm(x, g.Float32(name+"_weight", d, n.weight), g.Float32(name+"_bias", d, n.bias), layerNormEpsilon)
}

func (b *builder) weight(g *onnx.Graph, name string, values []float32, rows, cols int) onnx.Value {
	return g.Float32(name, []int64{int64(rows), int64(cols)}, values)
}

// scores is [batch, items+1], -inf for item 0 (by its bias) and for what is in the history.
func (b *builder) scores(g *onnx.Graph, x, items onnx.Value) onnx.Value {
	count := int64(b.NumItems) + 1
	table := g.Stream("item_table", onnx.Float32, []int64{count, int64(b.Hidden)}, b.table.raw)
	scores := g.Gemm(x, table, g.Float32("item_bias", []int64{count}, b.bias), true)
	never := g.Expand(g.Scalar(float32(math.Inf(-1))), batch, length)
	return g.ScatterElements(scores, items, never, 1)
}
