package llama

import (
	"math"
	"strings"

	"mllm4rec/export/matrix"
	"mllm4rec/export/onnx"
)

// stacked is a matrix of the layer, and whether its layers have biases.
type stacked struct {
	matrix.Matrix
	bias bool
}

// matrix is one or several of the layer's linear layers, by their places in linears.
func (l *layer) matrix(places ...int) stacked {
	m := stacked{Matrix: matrix.Matrix{Name: linears[places[0]].short()}}
	if len(places) > 1 {
		m.Name = "qkv_proj"
	}
	for _, place := range places {
		out, in := linears[place].shape(&l.Config)
		m.Parts = append(m.Parts, matrix.Part{Tensor: l.prefix + linears[place].name + weightSuffix, Out: out})
		m.In, m.Out, m.bias = in, m.Out+out, linears[place].bias(&l.Config)
	}
	return m
}

// biases are those of a matrix, [out].
func (b *builder) biases(g *onnx.Graph, m stacked) onnx.Value {
	var names []string
	for _, p := range m.Parts {
		names = append(names, strings.TrimSuffix(p.Tensor, weightSuffix)+".bias")
	}
	return g.Stream(m.Name+"_bias", b.dtype, []int64{int64(m.Out)}, b.vectors(b.dtype, names...))
}

// vector is a tensor of one dimension.
func (b *builder) vector(g *onnx.Graph, name, from string, size int) onnx.Value {
	return g.Stream(name, b.dtype, []int64{int64(size)}, b.vectors(b.dtype, from))
}

// scalar is a constant of the activations' type.
func (b *builder) scalar(g *onnx.Graph, name string, v float64) onnx.Value {
	return g.Raw(name, b.dtype, nil, matrix.Encode(b.dtype, []float32{float32(v)}))
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
	return g.Raw("cos", b.dtype, dims, matrix.Encode(b.dtype, c)), g.Raw("sin", b.dtype, dims, matrix.Encode(b.dtype, s))
}
