package llama

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Hugging Face's names of the tensors outside the layers.
const (
	embeddingName = "model.embed_tokens.weight"
	finalNormName = "model.norm.weight"
	headName      = "lm_head.weight"
)

// ropeFactorsName is a GGUF tensor that belongs to the config.
const ropeFactorsName = "rope_freqs.weight"

// linear is a linear layer: Hugging Face's name inside a layer, GGUF's, and its shape.
type linear struct {
	name, gguf string
	shape      func(c *Config) (out, in int)
	rotated    func(c *Config) int // heads whose rows a GGUF of a llama holds in another order; nil: none
}

// A layer's matrices, those that adapters can be at, by their places in linears.
const (
	qProj = iota
	kProj
	vProj
	oProj
	gateProj
	upProj
	downProj
)

var linears = [...]linear{
	qProj:    {"self_attn.q_proj", "attn_q", func(c *Config) (int, int) { return c.Heads * c.HeadDim, c.Hidden }, func(c *Config) int { return c.Heads }},
	kProj:    {"self_attn.k_proj", "attn_k", kvShape, func(c *Config) int { return c.KVHeads }},
	vProj:    {"self_attn.v_proj", "attn_v", kvShape, nil},
	oProj:    {"self_attn.o_proj", "attn_output", func(c *Config) (int, int) { return c.Hidden, c.Heads * c.HeadDim }, nil},
	gateProj: {"mlp.gate_proj", "ffn_gate", func(c *Config) (int, int) { return c.Intermediate, c.Hidden }, nil},
	upProj:   {"mlp.up_proj", "ffn_up", func(c *Config) (int, int) { return c.Intermediate, c.Hidden }, nil},
	downProj: {"mlp.down_proj", "ffn_down", func(c *Config) (int, int) { return c.Hidden, c.Intermediate }, nil},
}

func kvShape(c *Config) (out, in int) { return c.KVHeads * c.HeadDim, c.Hidden }

// short is the name by which peft and graphs know the layer, "q_proj".
func (l linear) short() string { return l.name[strings.IndexByte(l.name, '.')+1:] }

// module finds a linear layer by its whole name, "model.layers.0.self_attn.q_proj".
func (c *Config) module(name string) (l linear, ok bool) {
	rest, ours := strings.CutPrefix(name, "model.layers.")
	number, kind, _ := strings.Cut(rest, ".")
	index, err := strconv.Atoi(number)
	at := slices.IndexFunc(linears[:], func(l linear) bool { return l.name == kind })
	if !ours || err != nil || index < 0 || index >= c.Layers || strconv.Itoa(index) != number || at < 0 {
		return linear{}, false
	}
	return linears[at], true
}

// bias tells whether the layer has one.
func (l linear) bias(c *Config) bool {
	switch l.gguf {
	case "attn_q", "attn_k", "attn_v":
		return c.QKVBias
	case "attn_output":
		return c.OutBias
	}
	return false
}

// expected is a tensor that a model of a config has.
type expected struct {
	name, gguf string // Hugging Face's name and GGUF's
	shape      []int64
	heads      int // whose rows a GGUF of a llama holds in another order; 0: none
}

// expect lists every tensor of a model, the head only where it is not the embedding.
func (c *Config) expect() []expected {
	hidden := int64(c.Hidden)
	all := []expected{
		{embeddingName, "token_embd.weight", []int64{int64(c.VocabSize), hidden}, 0},
		{finalNormName, "output_norm.weight", []int64{hidden}, 0},
	}
	if !c.TieEmbeddings {
		all = append(all, expected{headName, "output.weight", []int64{int64(c.VocabSize), hidden}, 0})
	}
	for i := range c.Layers {
		all = append(all, c.expectLayer(i)...)
	}
	return all
}

func (c *Config) expectLayer(i int) []expected {
	ours, theirs := fmt.Sprintf("model.layers.%d.", i), fmt.Sprintf("blk.%d.", i)
	all := []expected{
		{ours + "input_layernorm.weight", theirs + "attn_norm.weight", []int64{int64(c.Hidden)}, 0},
		{ours + "post_attention_layernorm.weight", theirs + "ffn_norm.weight", []int64{int64(c.Hidden)}, 0},
	}
	if c.QKNorm {
		all = append(all,
			expected{ours + "self_attn.q_norm.weight", theirs + "attn_q_norm.weight", []int64{int64(c.HeadDim)}, 0},
			expected{ours + "self_attn.k_norm.weight", theirs + "attn_k_norm.weight", []int64{int64(c.HeadDim)}, 0})
	}
	for _, l := range linears {
		out, in := l.shape(c)
		heads := 0
		if l.rotated != nil {
			heads = l.rotated(c)
		}
		all = append(all, expected{ours + l.name + ".weight", theirs + l.gguf + ".weight", []int64{int64(out), int64(in)}, heads})
		if l.bias(c) {
			all = append(all, expected{ours + l.name + ".bias", theirs + l.gguf + ".bias", []int64{int64(out)}, heads})
		}
	}
	return all
}

// needless tells tensors that files hold and no model of this family reads: rotary frequencies of old files, which the
// config gives, and a copy of the embedding as the head.
func (c *Config) needless(name string) bool {
	return strings.HasSuffix(name, ".self_attn.rotary_emb.inv_freq") || name == ropeFactorsName || c.TieEmbeddings && name == headName
}

// LinearNames are the names by which PEFT knows a layer's matrices: q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj,
// down_proj.
func LinearNames() []string {
	var names []string
	for _, l := range linears {
		names = append(names, l.short())
	}
	return names
}

// storedRow is where a GGUF of a llama holds row i of q or k: in each head the rows of the two halves, which rotate
// together, alternate.
func storedRow(i, headDim int) int {
	head, within := i/headDim, i%headDim
	return head*headDim + 2*(within%(headDim/2)) + within/(headDim/2)
}
