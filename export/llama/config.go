// Package llama is the Llama family of language models: what a model is (Config, from config.json or a GGUF's metadata),
// its weights under Hugging Face's names whatever the file (Checkpoint), its adapters (Adapter, PEFT's LoRA), and its
// graph, which ranks candidates (LlamaRec, arXiv 2311.02089) from the token ids of a prompt.
//
// One definition with switches covers Llama 1 to 3 (arXiv 2302.13971, 2307.09288, 2407.21783), SmolLM2, Mistral
// (2310.06825), Qwen2 (2407.10671) and Qwen3 (2505.09388): pre-normalised by RMSNorm, rotary positions, grouped-query
// attention, SwiGLU. What a file asks for beyond that is refused by name.
package llama

import "fmt"

// The architectures, under Hugging Face's model_type. SmolLM2 is a llama; so is a Mistral in a GGUF file.
const (
	archLlama   = "llama"
	archMistral = "mistral"
	archQwen2   = "qwen2"
	archQwen3   = "qwen3"
)

// Config is a Llama-family model, whatever file it came from.
type Config struct {
	Architecture string // "llama", "mistral", "qwen2", "qwen3"

	VocabSize, Hidden, Layers, Heads, KVHeads, HeadDim, Intermediate, MaxPositions int

	NormEpsilon, RopeTheta float64

	RopeScaling *RopeScaling // nil: none

	// QKVBias: biases at q, k and v; OutBias: at o; QKNorm: RMSNorm over each head's q and k before the rotation;
	// TieEmbeddings: the head is the embedding.
	QKVBias, OutBias, QKNorm, TieEmbeddings bool

	// SlidingWindow is how many tokens a token sees, itself included, in every layer; 0: all before it.
	SlidingWindow int

	BOS, EOS int32 // token ids, -1: none; of several EOS the first
}

// Bounds of the sizes, far above any model's, so that no product of two overflows.
const (
	maxVocab     = 1 << 24
	maxWidth     = 1 << 20
	maxHead      = 1 << 12 // a graph holds cosines and sines of a head's length for every position
	maxLayers    = 1 << 12
	maxPositions = 1 << 30
)

// check refuses sizes that no model has and switches that contradict one another.
func (c *Config) check() error {
	for _, field := range []struct {
		name        string
		value, most int
	}{
		{"the vocabulary", c.VocabSize, maxVocab}, {"the hidden size", c.Hidden, maxWidth}, {"the number of layers", c.Layers, maxLayers},
		{"the number of attention heads", c.Heads, maxWidth}, {"the number of key and value heads", c.KVHeads, maxWidth},
		{"the size of a head", c.HeadDim, maxHead}, {"the intermediate size", c.Intermediate, maxWidth},
		{"the most positions", c.MaxPositions, maxPositions},
	} {
		if field.value < 1 || field.value > field.most {
			return fmt.Errorf("%s is %d, it must be from 1 to %d", field.name, field.value, field.most)
		}
	}
	switch {
	case c.Heads%c.KVHeads != 0:
		return fmt.Errorf("%d attention heads cannot share %d key and value heads", c.Heads, c.KVHeads)
	case c.HeadDim%2 != 0:
		return fmt.Errorf("the size of a head is %d, rotary positions need an even one", c.HeadDim)
	case !(c.NormEpsilon > 0 && c.NormEpsilon < 1):
		return fmt.Errorf("the epsilon of the norms is %v, it must be between 0 and 1", c.NormEpsilon)
	case !(c.RopeTheta > 0 && c.RopeTheta <= 1e12):
		return fmt.Errorf("the base of the rotary frequencies is %v, it must be positive", c.RopeTheta)
	case c.SlidingWindow < 0:
		return fmt.Errorf("the sliding window is %d, it must not be negative", c.SlidingWindow)
	case !inVocab(c.BOS, c.VocabSize) || !inVocab(c.EOS, c.VocabSize):
		return fmt.Errorf("BOS %d or EOS %d is not in the vocabulary of %d", c.BOS, c.EOS, c.VocabSize)
	case c.RopeScaling != nil:
		return c.RopeScaling.check(c.HeadDim)
	}
	return nil
}

// inVocab tells whether a token id is -1 (none) or below the vocabulary's size.
func inVocab(id int32, vocab int) bool { return id >= -1 && int(id) < vocab }
