package blip2

import (
	"fmt"

	"mllm4rec/export/matrix"
	"mllm4rec/export/onnx"
)

// Names of the dimensions in a round of decoding: fed counts the positions that are new, past those before, total both;
// rows are pictures times beams.
var (
	rows  = onnx.Sym("rows")
	fed   = onnx.Sym("fed")
	past  = onnx.Sym("past")
	total = onnx.Sym("total")
)

// decoder is OPT: x, [rows, fed, hidden], behind the keys and values of each layer, [rows, heads, past, head size]. It
// returns the words' logits at the last position, float32 [rows, vocabulary], and the keys and values of all positions.
func (b *builder) decoder(g *onnx.Graph, x onnx.Value, before []onnx.Value) (logits onnx.Value, all []onnx.Value) {
	t := &b.Text
	p := part{builder: b, g: g, prefix: textName, products: b.products}
	x = g.Add(x, p.places())
	for i := range t.Layers {
		l := textLayer{part: p.in(fmt.Sprintf("layer%d", i), fmt.Sprintf("layers.%d.", i)), last: i == t.Layers-1}
		var key, value onnx.Value
		x, key, value = l.forward(x, before[2*i], before[2*i+1])
		all = append(all, key, value)
	}
	if t.FinalNorm {
		x = p.norm(x, "final_layer_norm", normEpsilon)
	}
	return p.head(x), all
}

// places are the vectors of the new positions, [fed, hidden].
func (p part) places() onnx.Value {
	g, t := p.g, &p.Text
	count := t.MaxPositions + positionOffset
	table := g.Stream("positions", p.dtype, []int64{int64(count), int64(t.Hidden)}, p.rows(p.dtype, positionsName, count))
	from := g.Add(g.SizeOf(past), g.Ints(positionOffset))
	return g.SliceBy(table, 0, from, g.Add(from, g.SizeOf(fed)), fed)
}

// head is the logits of words, float32 [rows, vocabulary], of x, [rows, 1, hidden].
func (p part) head(x onnx.Value) onnx.Value {
	g, t := p.g, &p.Text
	hidden, vocabulary := onnx.Num(int64(t.Hidden)), onnx.Num(int64(t.VocabSize))
	name := headName
	if t.Tied {
		name = embeddingName
	}
	if p.table == p.dtype && t.Tied { // one matrix for both
		return p.cast(g, g.Gemm(g.Reshape(x, rows, hidden), p.embeddings, onnx.Value{}, true), onnx.Float32)
	}
	m := matrix.Matrix{Name: "head", In: t.Hidden, Out: t.VocabSize, Parts: []matrix.Part{{Tensor: name, Out: t.VocabSize}}}
	return p.cast(g, g.Reshape(p.products(g, x, m)[0], rows, vocabulary), onnx.Float32)
}

// textLayer is one layer of the decoder; the last one has no more to do than the last position behind its attention.
type textLayer struct {
	part
	last bool
}

func (l textLayer) forward(x, pastKey, pastValue onnx.Value) (out, key, value onnx.Value) {
	t := &l.Text
	mixed, key, value := l.attend(l.before(x, "self_attn_layer_norm"), pastKey, pastValue)
	if l.last {
		mixed, x = l.g.Slice(mixed, 1, -1, onnx.SliceToEnd), l.g.Slice(x, 1, -1, onnx.SliceToEnd)
		mixed, x = l.g.Assume(mixed, rows, onnx.Num(1), mixed.Dim(2)), l.g.Assume(x, rows, onnx.Num(1), x.Dim(2))
	}
	x = l.after(l.g.Add(x, l.linear(mixed, "self_attn.out_proj", t.Hidden, t.Hidden, t.Bias)), "self_attn_layer_norm")
	inner := activations[t.Activation](l.g, l.linear(l.before(x, "final_layer_norm"), "fc1", t.Hidden, t.Intermediate, t.Bias))
	return l.after(l.g.Add(x, l.linear(inner, "fc2", t.Intermediate, t.Hidden, t.Bias)), "final_layer_norm"), key, value
}

// attend mixes normed, [rows, fed, hidden], with itself and what was before.
func (l textLayer) attend(normed, pastKey, pastValue onnx.Value) (mixed, key, value onnx.Value) {
	t := &l.Text
	hidden := int64(t.Hidden)
	qkv := l.g.Split(l.stacked(normed, "qkv_proj", t.Hidden, t.Hidden, t.Bias, "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"), 2, hidden, hidden, hidden)
	return l.g.CausalAttention(qkv[0], qkv[1], qkv[2], pastKey, pastValue, total, int64(t.Heads))
}

// before normalises what goes into a block, where the model does so.
func (l textLayer) before(x onnx.Value, name string) onnx.Value {
	if !l.Text.NormBefore {
		return x
	}
	return l.norm(x, name, normEpsilon)
}

// after normalises what a block and its input add up to, where the model does so.
func (l textLayer) after(sum onnx.Value, name string) onnx.Value {
	if l.Text.NormBefore {
		return sum
	}
	return l.norm(sum, name, normEpsilon)
}
