package llama

import (
	"math"

	"mllm4rec/export/onnx"
)

// fusedHeads is what the size of a head must be a multiple of for ONNX Runtime's fused attention.
const fusedHeads = 16

// everywhere is a layer at all positions. normed is its input normalised, sum the residual stream, both
// [batch, length, hidden]; out come the next layer's, normalised with the weight next.
func (l *layer) everywhere(normed, sum, next onnx.Value) (onnx.Value, onnx.Value) {
	g := l.g.Scope("attention")
	mixed := l.fused
	if l.HeadDim%fusedHeads != 0 {
		mixed = l.unfused
	}
	return l.feedForward(l.project(g, mixed(g, normed), l.matrix(oProj))[0], sum, next)
}

// fused is attention at all positions in one operator: [batch, length, heads · head size].
func (l *layer) fused(g *onnx.Graph, normed onnx.Value) onnx.Value {
	packed := l.normHeads(g, l.project(g, normed, l.matrix(qProj, kProj, vProj))[0])
	cache := l.cache
	cache.PastKey, cache.PastValue = l.pastKey, l.pastValue
	var mixed onnx.Value
	mixed, l.key, l.value = g.GroupQueryAttention(packed, cache, total, onnx.GroupQuery{
		Heads: int64(l.Heads), KVHeads: int64(l.KVHeads), Window: int64(l.SlidingWindow),
	})
	return mixed
}

// normHeads normalises queries and keys head by head, where the model does.
func (l *layer) normHeads(g *onnx.Graph, packed onnx.Value) onnx.Value {
	if !l.QKNorm {
		return packed
	}
	q, kv := int64(l.Heads*l.HeadDim), int64(l.KVHeads*l.HeadDim)
	parts := g.Split(packed, 2, q, kv, kv)
	return g.Concat(2, l.normHead(g, parts[0], "q_norm", l.Heads), l.normHead(g, parts[1], "k_norm", l.KVHeads), parts[2])
}

// normHead normalises the heads of v, [batch, length, heads · head size].
func (l *layer) normHead(g *onnx.Graph, v onnx.Value, name string, heads int) onnx.Value {
	if !l.QKNorm {
		return v
	}
	shape := v.Shape()
	split := g.Reshape(v, shape[0], shape[1], onnx.Num(int64(heads)), onnx.Num(int64(l.HeadDim)))
	weight := l.vector(g, name, l.prefix+"self_attn."+name+".weight", l.HeadDim)
	return g.Reshape(g.RMSNorm(split, weight, float32(l.NormEpsilon)), shape...)
}

// unfused is attention at all positions in ONNX's own operators, for heads of other sizes.
func (l *layer) unfused(g *onnx.Graph, normed onnx.Value) onnx.Value {
	l.allKeys(g, normed)
	places := g.Add(l.start, g.Range(g.Int(0), g.Squeeze(g.SizeOf(length), 0), length))
	return l.attend(g, normed, l.start, g.Unsqueeze(places, 1))
}

// atLast is the last layer: keys and values of all positions, since other prompts may go on from them, and everything
// else at the last position only. normed and sum are [batch, length, hidden]; out comes [batch, 1, hidden].
func (l *layer) atLast(normed, sum, next onnx.Value) (onnx.Value, onnx.Value) {
	g := l.g.Scope("attention")
	normed = l.withoutPadding(g, normed)
	l.allKeys(g, normed)
	place := g.Unsqueeze(l.place, 1)
	mixed := l.attend(g, l.lastRow(g, normed), place, g.Reshape(place, batch, onnx.Num(1), onnx.Num(1), onnx.Num(1), onnx.Num(1)))
	return l.feedForward(l.project(g, mixed, l.matrix(oProj))[0], l.lastRow(g, sum), next)
}

// withoutPadding is v, [batch, length, hidden], zero behind each row's last position. Fused attention reads there what
// nobody wrote, often NaN, which no weight of 0 hides from the positions before it.
func (l *layer) withoutPadding(g *onnx.Graph, v onnx.Value) onnx.Value {
	at := g.Range(g.Int(0), g.Squeeze(g.SizeOf(length), 0), length)
	real := g.LessOrEqual(at, g.Unsqueeze(l.row, 1))
	return g.Where(g.Unsqueeze(real, 2), v, l.scalar(g, "nothing", 0))
}

// lastRow is v, [batch, length, hidden], at the last position: [batch, 1, hidden].
func (l *layer) lastRow(g *onnx.Graph, v onnx.Value) onnx.Value {
	return g.Unsqueeze(g.GatherRows(v, l.row), 1)
}

// allKeys makes keys, rotated, and values, past ones before them.
func (l *layer) allKeys(g *onnx.Graph, normed onnx.Value) {
	both := l.project(g, normed, l.matrix(kProj), l.matrix(vProj))
	key := l.normHead(g, both[0], "k_norm", l.KVHeads)
	key = g.RotaryEmbedding(key, l.start, l.cache.Cos, l.cache.Sin, int64(l.KVHeads))
	l.key, l.value = l.after(g, l.pastKey, key), l.after(g, l.pastValue, both[1])
}

// after puts v, [batch, length, kv heads · head size], behind the past: [batch, kv heads, total, head size].
func (l *layer) after(g *onnx.Graph, before, v onnx.Value) onnx.Value {
	heads, size := onnx.Num(int64(l.KVHeads)), onnx.Num(int64(l.HeadDim))
	v = g.Transpose(g.Reshape(v, batch, length, heads, size), 0, 2, 1, 3)
	return g.Assume(g.Concat(2, before, v), batch, heads, total, size)
}

// attend mixes the values by the attention of rows, [batch, n, hidden]: [batch, n, heads · head size]. positions is theirs
// as RotaryEmbedding takes it, places the same for [batch, kv heads, group, n, total] to be compared with.
func (l *layer) attend(g *onnx.Graph, rows, positions, places onnx.Value) onnx.Value {
	heads, group, size := onnx.Num(int64(l.KVHeads)), onnx.Num(int64(l.Heads/l.KVHeads)), onnx.Num(int64(l.HeadDim))
	query := l.normHead(g, l.project(g, rows, l.matrix(qProj))[0], "q_norm", l.Heads)
	query = g.RotaryEmbedding(query, positions, l.cache.Cos, l.cache.Sin, int64(l.Heads))
	n := query.Dim(1)
	query = g.Mul(query, l.scalar(g, "scale", 1/math.Sqrt(float64(l.HeadDim))))
	query = g.Transpose(g.Reshape(query, batch, n, heads, group, size), 0, 2, 3, 1, 4)
	weights := g.MatMul(query, g.Unsqueeze(g.Transpose(l.key, 0, 1, 3, 2), 2)) // [batch, kv heads, group, n, total]
	at := g.Range(g.Int(0), g.Squeeze(g.SizeOf(total), 0), total)
	visible := g.LessOrEqual(at, places)
	if l.SlidingWindow > 0 {
		visible = g.And(visible, g.Greater(at, g.Sub(places, g.Int(int64(l.SlidingWindow)))))
	}
	weights = g.Softmax(g.Where(visible, weights, l.scalar(g, "never", math.Inf(-1))), -1)
	mixed := g.Transpose(g.MatMul(weights, g.Unsqueeze(l.value, 2)), 0, 3, 1, 2, 4)
	return g.Reshape(mixed, batch, n, onnx.Num(int64(l.Heads*l.HeadDim)))
}
