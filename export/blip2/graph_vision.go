package blip2

import (
	"fmt"

	"mllm4rec/export/onnx"
)

// vision is the ViT: of pixels, [batch, 3, size, size], one vector for the whole and one a patch, [batch, positions, hidden]. Sums
// are normalised as they are made: ONNX Runtime has that in a kernel of its own, which takes a fifth of the time of a norm alone.
func (b *builder) vision(pixels onnx.Value) onnx.Value {
	v := &b.Vision
	p := part{builder: b, g: b.g.Scope("vision"), prefix: visionName, products: b.products}
	layer := func(i int) part { return p.in(fmt.Sprintf("layer%d", i), fmt.Sprintf("encoder.layers.%d.", i)) }
	x := p.patches(b.cast(p.g, pixels, b.dtype))
	normed := layer(0).norm(x, "layer_norm1", v.NormEpsilon)
	for i := range v.Layers {
		l := layer(i)
		normed, x = l.addNorm(l.visionAttention(normed), x, "layer_norm2", v.NormEpsilon)
		inner := activations[v.Activation](l.g, l.linear(normed, "mlp.fc1", v.Hidden, v.Intermediate, true))
		next, name := p, "post_layernorm"
		if i+1 < v.Layers {
			next, name = layer(i+1), "layer_norm1"
		}
		normed, x = next.addNorm(l.linear(inner, "mlp.fc2", v.Intermediate, v.Hidden, true), x, name, v.NormEpsilon)
	}
	return normed
}

// patches embeds the patches, the vector for the whole before them, and adds the positions.
func (p part) patches(pixels onnx.Value) onnx.Value {
	v, e := &p.Vision, p.in("embeddings", "embeddings.")
	g, dtype, hidden, side := e.g, pixels.DType(), int64(v.Hidden), int64(v.PatchSize)
	x := g.ConvPatches(pixels, e.tensor("patch_embedding.weight", dtype, hidden, 3, side, side), e.tensor("patch_embedding.bias", dtype, hidden))
	positions := int64(v.positions())
	x = g.Transpose(g.Reshape(x, batch, onnx.Num(hidden), onnx.Num(positions-1)), 0, 2, 1)
	whole := g.Expand(e.tensor("class_embedding", dtype, 1, 1, hidden), batch, onnx.Num(1), onnx.Num(hidden))
	return g.Add(g.Concat(1, whole, x), e.tensor("position_embedding", dtype, 1, positions, hidden))
}

func (p part) visionAttention(normed onnx.Value) onnx.Value {
	v := &p.Vision
	hidden := int64(v.Hidden)
	qkv := p.g.Split(p.linear(normed, "self_attn.qkv", v.Hidden, 3*v.Hidden, v.QKVBias), 2, hidden, hidden, hidden)
	return p.linear(p.g.MultiHeadAttention(qkv[0], qkv[1], qkv[2], int64(v.Heads)), "self_attn.projection", v.Hidden, v.Hidden, true)
}
