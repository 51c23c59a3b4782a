package blip2

import (
	"fmt"

	"mllm4rec/export/onnx"
)

// qformer asks a picture, [batch, positions, hidden of the ViT], the learned queries: float32 [batch, queries, hidden].
func (b *builder) qformer(picture onnx.Value) onnx.Value {
	q := &b.QFormer
	p := part{builder: b, g: b.g.Scope("qformer"), prefix: qformerName, products: b.plain}
	picture = b.cast(p.g, picture, onnx.Float32)
	shape := []int64{1, int64(b.Queries), int64(q.Hidden)}
	x := p.norm(p.g.Stream(queriesName, onnx.Float32, shape, b.whole(onnx.Float32, queriesName)), "layernorm", q.NormEpsilon)
	x = p.g.Expand(x, batch, onnx.Num(shape[1]), onnx.Num(shape[2]))
	for i := range q.Layers {
		l := p.in(fmt.Sprintf("layer%d", i), fmt.Sprintf("encoder.layer.%d.", i))
		x = l.in("attention", "attention.").qformerAttention(x, x)
		if i%q.CrossEvery == 0 {
			x = l.in("crossattention", "crossattention.").qformerAttention(x, picture)
		}
		inner := activations[q.Activation](l.g, l.linear(x, "intermediate_query.dense", q.Hidden, q.Intermediate, true))
		x = l.norm(l.g.Add(x, l.linear(inner, "output_query.dense", q.Intermediate, q.Hidden, true)), "output_query.LayerNorm", q.NormEpsilon)
	}
	return x
}

// qformerAttention is that of x to from, added to x and normalised.
func (p part) qformerAttention(x, from onnx.Value) onnx.Value {
	q := &p.QFormer
	hidden, width := int64(q.Hidden), 0
	if n, ok := from.Dim(-1).Size(); ok {
		width = int(n)
	}
	query := p.linear(x, "attention.query", q.Hidden, q.Hidden, true)
	both := p.g.Split(p.stacked(from, "attention.key_value", width, q.Hidden, true, "attention.key", "attention.value"), 2, hidden, hidden)
	mixed := p.linear(p.g.MultiHeadAttention(query, both[0], both[1], int64(q.Heads)), "output.dense", q.Hidden, q.Hidden, true)
	return p.norm(p.g.Add(x, mixed), "output.LayerNorm", q.NormEpsilon)
}
