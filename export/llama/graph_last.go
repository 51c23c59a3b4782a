package llama

import (
	"math"

	"mllm4rec/export/onnx"
)

// atLast is the last layer: keys and values of all positions, since other prompts may go on from them, and everything
// else at the last position only. normed and sum are [batch, length, hidden]; out comes [batch, 1, hidden].
func (l *layer) atLast(normed, sum, next onnx.Value) (onnx.Value, onnx.Value) {
	g := l.g.Scope("attention")
	l.allKeys(g, normed)
	query := l.project(g, l.lastRow(g, normed), l.matrix(qProj))[0]
	query = l.normHead(g, query, "q_norm", l.Heads)
	query = g.RotaryEmbedding(query, g.Unsqueeze(l.place, 1), l.cache.Cos, l.cache.Sin, int64(l.Heads))
	mixed := l.attend(g, query)
	return l.feedForward(l.project(g, mixed, l.matrix(oProj))[0], l.lastRow(g, sum), next)
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

// attend mixes the values by the attention of one query a row, [batch, 1, heads · head size].
func (l *layer) attend(g *onnx.Graph, query onnx.Value) onnx.Value {
	heads, group, size := onnx.Num(int64(l.KVHeads)), onnx.Num(int64(l.Heads/l.KVHeads)), onnx.Num(int64(l.HeadDim))
	query = g.Mul(g.Reshape(query, batch, heads, group, size), l.scalar(g, "scale", 1/math.Sqrt(float64(l.HeadDim))))
	weights := g.MatMul(query, g.Transpose(l.key, 0, 1, 3, 2)) // [batch, kv heads, group, total]
	at := g.Range(g.Int(0), g.Squeeze(g.SizeOf(total), 0), total)
	place := g.Unsqueeze(g.Unsqueeze(g.Unsqueeze(l.place, 1), 1), 1) // [batch, 1, 1, 1]
	visible := g.LessOrEqual(at, place)
	if l.SlidingWindow > 0 {
		visible = g.And(visible, g.Greater(at, g.Sub(place, g.Int(int64(l.SlidingWindow)))))
	}
	weights = g.Softmax(g.Where(visible, weights, l.scalar(g, "never", math.Inf(-1))), -1)
	return g.Reshape(g.MatMul(weights, l.value), batch, onnx.Num(1), onnx.Num(int64(l.Heads*l.HeadDim)))
}
