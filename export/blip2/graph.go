package blip2

import (
	"maps"
	"slices"

	"mllm4rec/export/matrix"
	"mllm4rec/export/onnx"
)

// Names of the dimensions: length counts the tokens of the prompt, limit those that a caption may have.
var (
	batch  = onnx.Sym("batch")
	length = onnx.Sym("length")
	beams  = onnx.Sym("beams")
	limit  = onnx.Sym("limit")
	ends   = onnx.Sym("ends")
)

// builder holds what the parts share.
type builder struct {
	Config
	*reader
	Options
	parts bool // what each part gives is an output too
	g     *onnx.Graph
	dtype onnx.DType // of activations, but for the Q-Former
	table onnx.DType // of the stored embeddings
	// products multiplies x [batch, length, in] by matrices of ViT and decoder, plain by those of the Q-Former.
	products, plain matrix.Products
	embeddings      onnx.Value // [vocabulary, hidden]
}

// build makes the graph. Its inputs are pixels, float32 [batch, 3, size, size]; the tokens of the prompt, BOS included,
// int32 [length]; tokens, int64 [batch, beams, limit], full of padding; and the tokens that end a caption, int64 [ends].
// Its output is tokens, int64 [batch, limit], the words in the place of padding. One that is negative tells that the model
// gave numbers that are none.
func (b *builder) build() *onnx.Graph {
	b.g = onnx.New("captioner")
	b.describe()
	g, size := b.g, onnx.Num(int64(b.Vision.ImageSize))
	pixels := g.Input("pixels", onnx.Float32, batch, onnx.Num(3), size, size)
	prompt := g.Input("prompt", onnx.Int32, length)
	blank := g.Input("blank", onnx.Int64, batch, beams, limit)
	stops := g.Input("ends", onnx.Int64, ends)
	b.storeEmbeddings()
	picture := b.vision(pixels)
	queries := b.qformer(picture)
	seen := b.project(queries)
	words := g.Expand(b.embed(g, prompt), batch, length, onnx.Num(int64(b.Text.Hidden)))
	tokens, logits := b.generate(g.Concat(1, seen, words), blank, stops)
	g.Output("tokens", tokens)
	if b.parts {
		g.Output("vision", b.cast(g, picture, onnx.Float32))
		g.Output("qformer", queries)
		g.Output("projection", b.cast(g, seen, onnx.Float32))
		g.Output("logits", logits)
	}
	return g
}

func (b *builder) storeEmbeddings() {
	t := &b.Text
	b.embeddings = b.g.Stream("embeddings", b.table, []int64{int64(t.VocabSize), int64(t.Hidden)}, b.rows(b.table, embeddingName, t.VocabSize))
}

// embed looks tokens up: [… hidden].
func (b *builder) embed(g *onnx.Graph, tokens onnx.Value) onnx.Value {
	return b.cast(g, g.Gather(b.embeddings, tokens, 0), b.dtype)
}

// project turns the Q-Former's vectors, float32 [batch, queries, hidden], into ones that stand where words do.
func (b *builder) project(queries onnx.Value) onnx.Value {
	p := part{builder: b, g: b.g, products: b.plain}
	return b.cast(b.g, p.linear(queries, projectionName, b.QFormer.Hidden, b.Text.Hidden, true), b.dtype)
}

// cast is v in another type.
func (b *builder) cast(g *onnx.Graph, v onnx.Value, to onnx.DType) onnx.Value {
	if v.DType() == to {
		return v
	}
	return g.Cast(v, to)
}

// part is where in the graph and in the checkpoint layers are taken from, and how they multiply.
type part struct {
	*builder
	g        *onnx.Graph
	prefix   string // of its tensors
	products matrix.Products
}

// in is a part of the part.
func (p part) in(scope, prefix string) part {
	p.g, p.prefix = p.g.Scope(scope), p.prefix+prefix
	return p
}

// linear is a linear layer.
func (p part) linear(x onnx.Value, name string, in, out int, bias bool) onnx.Value {
	return p.stacked(x, name, in, out, bias, name)
}

// stacked is several linear layers, [out, in] each, of one input: their results one after the other.
func (p part) stacked(x onnx.Value, called string, in, out int, bias bool, names ...string) onnx.Value {
	m := matrix.Matrix{Name: called, In: in, Out: out * len(names)}
	var biases []string
	for _, name := range names {
		m.Parts = append(m.Parts, matrix.Part{Tensor: p.prefix + name + ".weight", Out: out})
		biases = append(biases, p.prefix+name+".bias")
	}
	y := p.products(p.g, x, m)[0]
	if !bias {
		return y
	}
	return p.g.Add(y, p.g.Stream(called+"_bias", x.DType(), []int64{int64(m.Out)}, p.whole(x.DType(), biases...)))
}

// norm is a layer norm.
func (p part) norm(x onnx.Value, name string, epsilon float64) onnx.Value {
	size, _ := x.Dim(-1).Size()
	return p.g.LayerNorm(x, p.tensor(name+".weight", x.DType(), size), p.tensor(name+".bias", x.DType(), size), float32(epsilon))
}

// addNorm adds y to x, and returns the sum's layer norm and the sum.
func (p part) addNorm(y, x onnx.Value, name string, epsilon float64) (normed, sum onnx.Value) {
	size, _ := x.Dim(-1).Size()
	return p.g.SkipLayerNorm(y, x, p.tensor(name+".weight", x.DType(), size), p.tensor(name+".bias", x.DType(), size), float32(epsilon))
}

// tensor is one that is used as it is.
func (p part) tensor(name string, dtype onnx.DType, dims ...int64) onnx.Value {
	return p.g.Stream(name, dtype, dims, p.whole(dtype, p.prefix+name))
}

// activations by the names that configs have for them.
var activations = map[string]func(g *onnx.Graph, v onnx.Value) onnx.Value{
	"relu":              (*onnx.Graph).Relu,
	"gelu":              (*onnx.Graph).Gelu,
	"gelu_new":          (*onnx.Graph).GeluTanh,
	"gelu_fast":         (*onnx.Graph).GeluTanh,
	"gelu_pytorch_tanh": (*onnx.Graph).GeluTanh,
	"quick_gelu":        func(g *onnx.Graph, v onnx.Value) onnx.Value { return g.QuickGelu(v, 1.702) },
	"silu":              func(g *onnx.Graph, v onnx.Value) onnx.Value { return g.QuickGelu(v, 1) },
}

func activationNames() []string { return slices.Sorted(maps.Keys(activations)) }
