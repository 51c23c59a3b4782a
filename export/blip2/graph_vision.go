package blip2

import (
	"fmt"

	"mllm4rec/export/onnx"
)

// vision is the ViT: of pixels, [batch, 3, size, size], one vector for the whole and one a patch, [batch, positions, hidden].
func (b *builder) vision(pixels onnx.Value) onnx.Value {
	v := &b.Vision
	p := part{builder: b, g: b.g.Scope("vision"), prefix: visionName, products: b.products}
	x := p.patches(b.cast(p.g, pixels, b.dtype))
	for i := range v.Layers {
		l := p.in(fmt.Sprintf("layer%d", i), fmt.Sprintf("encoder.layers.%d.", i))
		x = l.g.Add(x, l.visionAttention(l.norm(x, "layer_norm1", v.NormEpsilon)))
		inner := l.linear(l.norm(x, "layer_norm2", v.NormEpsilon), "mlp.fc1", v.Hidden, v.Intermediate, true)
		x = l.g.Add(x, l.linear(activations[v.Activation](l.g, inner), "mlp.fc2", v.Intermediate, v.Hidden, true))
	}
	return p.norm(x, "post_layernorm", v.NormEpsilon)
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
