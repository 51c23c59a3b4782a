package llama

import (
	"math"

	"mllm4rec/export/onnx"
)

// matrix is the weight of a linear layer, or of several that take the same input, stacked: [out, in].
type matrix struct {
	name    string // in the graph
	parts   []part
	in, out int
	bias    bool
}

// part is one linear layer.
type part struct {
	module string // "model.layers.0.self_attn.q_proj"
	out    int
}

// matrix is one or several linear layers of a block, "self_attn" or "mlp".
func (l *layer) matrix(block string, names ...string) matrix {
	m := matrix{name: names[0]}
	for _, name := range names {
		out, in := l.linearShape(name)
		m.parts = append(m.parts, part{l.prefix + block + "." + name, out})
		m.in, m.out = in, m.out+out
		m.bias = name == "o_proj" && l.OutBias || block == "self_attn" && name != "o_proj" && l.QKVBias
	}
	if len(names) > 1 {
		m.name = "qkv_proj"
	}
	return m
}

// linearShape is the size of what comes out of a linear layer, and of what goes in.
func (c *Config) linearShape(name string) (out, in int) {
	switch name {
	case "q_proj":
		return c.Heads * c.HeadDim, c.Hidden
	case "k_proj", "v_proj":
		return c.KVHeads * c.HeadDim, c.Hidden
	case "o_proj":
		return c.Hidden, c.Heads * c.HeadDim
	case "down_proj":
		return c.Hidden, c.Intermediate
	}
	return c.Intermediate, c.Hidden // gate_proj, up_proj
}

// plain multiplies x by matrices of its own type.
func (b *builder) plain(g *onnx.Graph, x onnx.Value, ms ...matrix) []onnx.Value {
	out := make([]onnx.Value, len(ms))
	for i, m := range ms {
		w := g.Stream(m.name, b.dtype, []int64{int64(m.in), int64(m.out)}, b.transposed(m, b.dtype))
		out[i] = g.MatMul(x, w)
	}
	return out
}

// biases are those of a matrix, [out].
func (b *builder) biases(g *onnx.Graph, m matrix) onnx.Value {
	var tensors []tensor
	for _, p := range m.parts {
		tensors = append(tensors, tensor{p.module + ".bias", []int{p.out}})
	}
	return g.Stream(m.name+"_bias", b.dtype, []int64{int64(m.out)}, b.joined(b.dtype, tensors...))
}

// vector is a tensor of one dimension.
func (b *builder) vector(g *onnx.Graph, name, from string, size int) onnx.Value {
	return g.Stream(name, b.dtype, []int64{int64(size)}, b.joined(b.dtype, tensor{from, []int{size}}))
}

// scalar is a constant of the activations' type.
func (b *builder) scalar(g *onnx.Graph, name string, v float64) onnx.Value {
	return g.Raw(name, b.dtype, nil, encode(b.dtype, []float32{float32(v)}))
}

const embeddings = "model.embed_tokens.weight"

// head is the rows of the output matrix that belong to the letters, transposed: float32 [hidden, letters].
func (b *builder) head(g *onnx.Graph) onnx.Value {
	from := tensor{"lm_head.weight", []int{b.VocabSize, b.Hidden}}
	if b.TieEmbeddings {
		from.name = embeddings
	}
	return g.Stream("letters", onnx.Float32, []int64{int64(b.Hidden), int64(len(b.Letters))}, b.columns(from, b.Letters))
}

// rotation is cosine and sine of each position's angles, [positions, head size / 2].
func (b *builder) rotation(g *onnx.Graph) (cos, sin onnx.Value) {
	frequencies := b.InverseFrequencies()
	count := b.MaxLength * len(frequencies)
	c, s := make([]float32, 0, count), make([]float32, 0, count)
	for position := range b.MaxLength {
		for _, f := range frequencies {
			// Models are trained with angles that are computed in float32.
			sine, cosine := math.Sincos(float64(float32(position) * float32(f)))
			c, s = append(c, float32(cosine)), append(s, float32(sine))
		}
	}
	dims := []int64{int64(b.MaxLength), int64(len(frequencies))}
	return g.Raw("cos", b.dtype, dims, encode(b.dtype, c)), g.Raw("sin", b.dtype, dims, encode(b.dtype, s))
}
