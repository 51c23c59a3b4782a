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

// matrix is one or several of the layer's linear layers, by their places in linears.
func (l *layer) matrix(places ...int) matrix {
	m := matrix{name: linears[places[0]].short()}
	if len(places) > 1 {
		m.name = "qkv_proj"
	}
	for _, place := range places {
		out, in := linears[place].shape(&l.Config)
		m.parts = append(m.parts, part{l.prefix + linears[place].name, out})
		m.in, m.out, m.bias = in, m.out+out, linears[place].bias(&l.Config)
	}
	return m
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
	var names []string
	for _, p := range m.parts {
		names = append(names, p.module+".bias")
	}
	return g.Stream(m.name+"_bias", b.dtype, []int64{int64(m.out)}, b.vectors(b.dtype, names...))
}

// vector is a tensor of one dimension.
func (b *builder) vector(g *onnx.Graph, name, from string, size int) onnx.Value {
	return g.Stream(name, b.dtype, []int64{int64(size)}, b.vectors(b.dtype, from))
}

// scalar is a constant of the activations' type.
func (b *builder) scalar(g *onnx.Graph, name string, v float64) onnx.Value {
	return g.Raw(name, b.dtype, nil, encode(b.dtype, []float32{float32(v)}))
}

// head is the rows of the output matrix that belong to the letters, transposed: float32 [hidden, letters].
func (b *builder) head(g *onnx.Graph) onnx.Value {
	return g.Stream("letters", onnx.Float32, []int64{int64(b.Hidden), int64(len(b.Letters))}, b.columns(headName, b.Letters, b.Hidden))
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
