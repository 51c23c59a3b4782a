package llama

import (
	"fmt"

	"mllm4rec/export/matrix"
	"mllm4rec/export/onnx"
)

// Names of the dimensions: length counts the tokens that are fed, past those whose keys and values are, total both.
var (
	batch  = onnx.Sym("batch")
	length = onnx.Sym("length")
	past   = onnx.Sym("past")
	total  = onnx.Sym("total")
)

// builder holds what the layers share.
type builder struct {
	Config
	*reader
	Options
	g     *onnx.Graph
	dtype onnx.DType // of activations
	table onnx.DType // of the stored embeddings
	// products multiplies x [batch, length, in] by each matrix; the last layer has products of its own.
	products, lastProducts matrix.Products
	cache                  onnx.Cache // without the past of a layer
	row                    onnx.Value // int64 [batch]: where the last token stands among those that are fed
	place                  onnx.Value // int64 [batch]: its position, past included
	start                  onnx.Value // int64 [1]: the position of the first token that is fed
}

// build makes the graph.
func (b *builder) build() *onnx.Graph {
	b.g = onnx.New("ranker")
	b.describe()
	tokens := b.g.Input("tokens", onnx.Int32, batch, length)
	lengths := b.g.Input("lengths", onnx.Int64, batch)
	layers := make([]layer, b.Layers)
	for i := range layers {
		layers[i] = b.layer(i)
	}
	b.positions(lengths)
	sum := b.embed(tokens) // the residual stream, [batch, length, hidden]
	normed := b.g.RMSNorm(sum, layers[0].norm("input_layernorm"), float32(b.NormEpsilon))
	for i := range layers {
		if i < b.Layers-1 {
			normed, sum = layers[i].everywhere(normed, sum, layers[i+1].norm("input_layernorm"))
		} else {
			normed, _ = layers[i].atLast(normed, sum, b.vector(b.g, "norm", finalNormName, b.Hidden))
		}
	}
	b.g.Output("scores", b.scores(normed))
	for i := range layers {
		b.g.Output(fmt.Sprintf("key%d", i), b.cast(layers[i].g, layers[i].key, onnx.Float32))
		b.g.Output(fmt.Sprintf("value%d", i), b.cast(layers[i].g, layers[i].value, onnx.Float32))
	}
	return b.g
}

// positions computes what attention must know of lengths, int64 [batch].
func (b *builder) positions(lengths onnx.Value) {
	g := b.g.Scope("positions")
	b.start = g.SizeOf(past)
	b.row = g.Sub(lengths, g.Int(1))
	b.place = g.Add(b.row, b.start)
	b.cache.Last = g.Cast(b.place, onnx.Int32)
	b.cache.Total = g.Cast(g.Add(b.start, g.SizeOf(length)), onnx.Int32)
	b.cache.Cos, b.cache.Sin = b.rotation(g)
}

// embed looks tokens up: [batch, length, hidden].
func (b *builder) embed(tokens onnx.Value) onnx.Value {
	table := b.g.Stream("embeddings", b.table, []int64{int64(b.VocabSize), int64(b.Hidden)}, b.rows(b.table, embeddingName, b.VocabSize))
	return b.cast(b.g, b.g.Gather(table, tokens, 0), b.dtype)
}

// scores is the logits of the letters, float32 [batch, letters], of the normalised last position [batch, 1, hidden].
func (b *builder) scores(normed onnx.Value) onnx.Value {
	g := b.g.Scope("scores")
	flat := b.cast(g, g.Reshape(normed, batch, onnx.Num(int64(b.Hidden))), onnx.Float32)
	return g.MatMul(flat, b.head(g))
}

// layer is one layer of the model, under construction.
type layer struct {
	*builder
	g                  *onnx.Graph
	prefix             string // of its tensors
	products           matrix.Products
	pastKey, pastValue onnx.Value
	key, value         onnx.Value // of all positions, [batch, kv heads, total, head size]
}

func (b *builder) layer(i int) layer {
	l := layer{builder: b, g: b.g.Scope(fmt.Sprintf("layer%d", i)), prefix: fmt.Sprintf("model.layers.%d.", i), products: b.products}
	if i == b.Layers-1 {
		l.products = b.lastProducts
	}
	dims := []onnx.Dim{batch, onnx.Num(int64(b.KVHeads)), past, onnx.Num(int64(b.HeadDim))}
	l.pastKey = b.cast(l.g, b.g.Input(fmt.Sprintf("past_key%d", i), onnx.Float32, dims...), b.dtype)
	l.pastValue = b.cast(l.g, b.g.Input(fmt.Sprintf("past_value%d", i), onnx.Float32, dims...), b.dtype)
	return l
}

// cast is v in another type. What goes in and out of the model is float32 whatever it computes in.
func (b *builder) cast(g *onnx.Graph, v onnx.Value, to onnx.DType) onnx.Value {
	if v.DType() == to {
		return v
	}
	return g.Cast(v, to)
}

// feedForward adds attention's output to the residual stream, then the feed-forward network's.
func (l *layer) feedForward(attention, sum, next onnx.Value) (normed, newSum onnx.Value) {
	g, epsilon := l.g.Scope("mlp"), float32(l.NormEpsilon)
	normed, sum = g.SkipRMSNorm(attention, sum, l.norm("post_attention_layernorm"), epsilon)
	both := l.project(g, normed, l.matrix(gateProj), l.matrix(upProj))
	inner := g.Mul(g.QuickGelu(both[0], 1), both[1])
	return g.SkipRMSNorm(l.project(g, inner, l.matrix(downProj))[0], sum, next, epsilon)
}

// project is the products of x with matrices, biases added where the model has them.
func (l *layer) project(g *onnx.Graph, x onnx.Value, ms ...stacked) []onnx.Value {
	bare := make([]matrix.Matrix, len(ms))
	for i, m := range ms {
		bare[i] = m.Matrix
	}
	out := l.products(g, x, bare...)
	for i, m := range ms {
		if m.bias {
			out[i] = g.Add(out[i], l.biases(g, m))
		}
	}
	return out
}

// norm is the weight of one of the layer's norms.
func (l *layer) norm(name string) onnx.Value {
	return l.vector(l.g, name, l.prefix+name+".weight", l.Hidden)
}
