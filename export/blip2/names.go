package blip2

import (
	"fmt"
	"strings"
)

// Hugging Face's names of the parts.
const (
	visionName     = "vision_model."
	qformerName    = "qformer."
	textName       = "language_model.model.decoder."
	projectionName = "language_projection"
	queriesName    = "query_tokens"
	headName       = "language_model.lm_head.weight"
	embeddingName  = textName + "embed_tokens.weight"
	positionsName  = textName + "embed_positions.weight"
)

// tensors collects what a model of a config has: shapes by name.
type tensors map[string][]int64

func (t tensors) add(name string, shape ...int) {
	dims := make([]int64, len(shape))
	for i, d := range shape {
		dims[i] = int64(d)
	}
	t[name] = dims
}

func (t tensors) linear(name string, in, out int, bias bool) {
	t.add(name+".weight", out, in)
	if bias {
		t.add(name+".bias", out)
	}
}

func (t tensors) norm(name string, size int) {
	t.add(name+".weight", size)
	t.add(name+".bias", size)
}

// Tensors lists every tensor of a model, shapes by name; the head only where it is not the embedding.
func (c *Config) Tensors() map[string][]int64 {
	t := tensors{}
	c.Vision.expect(t)
	c.QFormer.expect(t, c.Vision.Hidden)
	t.add(queriesName, 1, c.Queries, c.QFormer.Hidden)
	t.linear(projectionName, c.QFormer.Hidden, c.Text.Hidden, true)
	c.Text.expect(t)
	return t
}

func (v *Vision) expect(t tensors) {
	const embeddings = visionName + "embeddings."
	t.add(embeddings+"class_embedding", 1, 1, v.Hidden)
	t.add(embeddings+"position_embedding", 1, v.positions(), v.Hidden)
	t.add(embeddings+"patch_embedding.weight", v.Hidden, 3, v.PatchSize, v.PatchSize)
	t.add(embeddings+"patch_embedding.bias", v.Hidden)
	for i := range v.Layers {
		layer := fmt.Sprintf("%sencoder.layers.%d.", visionName, i)
		t.norm(layer+"layer_norm1", v.Hidden)
		t.norm(layer+"layer_norm2", v.Hidden)
		t.linear(layer+"self_attn.qkv", v.Hidden, 3*v.Hidden, v.QKVBias)
		t.linear(layer+"self_attn.projection", v.Hidden, v.Hidden, true)
		t.linear(layer+"mlp.fc1", v.Hidden, v.Intermediate, true)
		t.linear(layer+"mlp.fc2", v.Intermediate, v.Hidden, true)
	}
	t.norm(visionName+"post_layernorm", v.Hidden)
}

func (q *QFormer) expect(t tensors, picture int) {
	t.norm(qformerName+"layernorm", q.Hidden)
	for i := range q.Layers {
		layer := fmt.Sprintf("%sencoder.layer.%d.", qformerName, i)
		q.attention(t, layer+"attention.", q.Hidden)
		if i%q.CrossEvery == 0 {
			q.attention(t, layer+"crossattention.", picture)
		}
		t.linear(layer+"intermediate_query.dense", q.Hidden, q.Intermediate, true)
		t.linear(layer+"output_query.dense", q.Intermediate, q.Hidden, true)
		t.norm(layer+"output_query.LayerNorm", q.Hidden)
	}
}

func (q *QFormer) attention(t tensors, prefix string, from int) {
	t.linear(prefix+"attention.query", q.Hidden, q.Hidden, true)
	t.linear(prefix+"attention.key", from, q.Hidden, true)
	t.linear(prefix+"attention.value", from, q.Hidden, true)
	t.linear(prefix+"output.dense", q.Hidden, q.Hidden, true)
	t.norm(prefix+"output.LayerNorm", q.Hidden)
}

func (c *Text) expect(t tensors) {
	t.add(embeddingName, c.VocabSize, c.Hidden)
	t.add(positionsName, c.MaxPositions+positionOffset, c.Hidden)
	for i := range c.Layers {
		layer := fmt.Sprintf("%slayers.%d.", textName, i)
		for _, name := range []string{"q_proj", "k_proj", "v_proj", "out_proj"} {
			t.linear(layer+"self_attn."+name, c.Hidden, c.Hidden, c.Bias)
		}
		t.linear(layer+"fc1", c.Hidden, c.Intermediate, c.Bias)
		t.linear(layer+"fc2", c.Intermediate, c.Hidden, c.Bias)
		t.norm(layer+"self_attn_layer_norm", c.Hidden)
		t.norm(layer+"final_layer_norm", c.Hidden)
	}
	if c.FinalNorm {
		t.norm(textName+"final_layer_norm", c.Hidden)
	}
	if !c.Tied {
		t.add(headName, c.VocabSize, c.Hidden)
	}
}

// foreign tells tensors of layers that a model of the config has not: the weights are another model's than the config.
// Other tensors that are not read, such as the Q-Former's side for text, hurt nobody.
func foreign(name string) bool {
	text := strings.HasPrefix(name, qformerName) && (strings.Contains(name, ".intermediate.") || strings.Contains(name, ".output.dense") || strings.Contains(name, ".output.LayerNorm"))
	for _, part := range []string{visionName + "encoder.", qformerName + "encoder.", textName} {
		if strings.HasPrefix(name, part) {
			return !text
		}
	}
	return false
}
