// Package blip2 turns a Hugging Face folder of Blip2ForConditionalGeneration with an OPT decoder (blip2-opt-2.7b and its
// like; arXiv 2301.12597) into one ONNX graph: pixel values in, token ids out, decoded greedily or by beam search inside
// the graph. Sizes come from config.json; weights are read a tensor at a time.
package blip2

import (
	"fmt"
	"slices"
)

// Config is what a BLIP-2 model is.
type Config struct {
	Vision  Vision
	QFormer QFormer
	Text    Text
	// Queries is how many vectors the Q-Former makes of a picture; they come before the text.
	Queries int
}

// Vision is the picture's transformer (ViT), which normalises before attention.
type Vision struct {
	Hidden, Layers, Heads, Intermediate int
	// ImageSize and PatchSize are sides in pixels.
	ImageSize, PatchSize int
	Activation           string
	NormEpsilon          float64
	QKVBias              bool
}

// positions are the patches and one for the whole.
func (v Vision) positions() int {
	side := v.ImageSize / v.PatchSize
	return side*side + 1
}

// QFormer is the Q-Former: a BERT that normalises after attention, and looks at the picture in every CrossEvery-th layer.
type QFormer struct {
	Hidden, Layers, Heads, Intermediate, CrossEvery int
	Activation                                      string
	NormEpsilon                                     float64
}

// Text is the OPT decoder.
type Text struct {
	Hidden, Layers, Heads, Intermediate int
	VocabSize, MaxPositions             int
	Activation                          string
	// NormBefore says that it normalises before attention and the feed-forward network, and not after.
	NormBefore bool
	// FinalNorm says that it normalises once more behind the last layer.
	FinalNorm bool
	Bias      bool // of the linear layers
	Tied      bool // the embeddings are the output matrix
	BOS, Pad  int32
	// EOS are the tokens that end a caption; there may be none. They and Pad are those of text_config: Hugging Face's
	// generate hands on to the decoder, which knows nothing of the folder's generation_config.json.
	EOS []int32
}

// Bounds of what a config may claim, far above any model's, so that no product of two overflows.
const (
	maxWidth  = 1 << 20
	maxLayers = 1 << 10
	maxVocab  = 1 << 24
	maxSide   = 1 << 13
	maxEnds   = 64
)

func (c *Config) check() error {
	v, q, t := &c.Vision, &c.QFormer, &c.Text
	for _, field := range []struct {
		name        string
		value, most int
	}{
		{"vision_config.hidden_size", v.Hidden, maxWidth}, {"vision_config.num_hidden_layers", v.Layers, maxLayers},
		{"vision_config.num_attention_heads", v.Heads, maxWidth}, {"vision_config.intermediate_size", v.Intermediate, maxWidth},
		{"vision_config.image_size", v.ImageSize, maxSide}, {"vision_config.patch_size", v.PatchSize, v.ImageSize},
		{"qformer_config.hidden_size", q.Hidden, maxWidth}, {"qformer_config.num_hidden_layers", q.Layers, maxLayers},
		{"qformer_config.num_attention_heads", q.Heads, maxWidth}, {"qformer_config.intermediate_size", q.Intermediate, maxWidth},
		{"qformer_config.cross_attention_frequency", q.CrossEvery, maxLayers},
		{"text_config.hidden_size", t.Hidden, maxWidth}, {"text_config.num_hidden_layers", t.Layers, maxLayers},
		{"text_config.num_attention_heads", t.Heads, maxWidth}, {"text_config.ffn_dim", t.Intermediate, maxWidth},
		{"text_config.vocab_size", t.VocabSize, maxVocab}, {"text_config.max_position_embeddings", t.MaxPositions, maxWidth},
		{"num_query_tokens", c.Queries, min(maxWidth, t.MaxPositions-1)},
	} {
		if field.value < 1 || field.value > field.most {
			return fmt.Errorf("%s is %d, it must be from 1 to %d", field.name, field.value, field.most)
		}
	}
	for _, part := range []struct {
		name          string
		hidden, heads int
		activation    string
		epsilon       float64
	}{
		{"vision_config", v.Hidden, v.Heads, v.Activation, v.NormEpsilon},
		{"qformer_config", q.Hidden, q.Heads, q.Activation, q.NormEpsilon},
		{"text_config", t.Hidden, t.Heads, t.Activation, normEpsilon},
	} {
		switch {
		case part.hidden%part.heads != 0:
			return fmt.Errorf("%s: a hidden size of %d does not divide into %d heads", part.name, part.hidden, part.heads)
		case activations[part.activation] == nil:
			return fmt.Errorf("%s: the activation %q is not known; %v are", part.name, part.activation, activationNames())
		case !(part.epsilon >= 0 && part.epsilon < 1):
			return fmt.Errorf("%s: layer_norm_eps is %v, it must be from 0 to 1", part.name, part.epsilon)
		}
	}
	return t.checkTokens()
}

func (t *Text) checkTokens() error {
	if len(t.EOS) > maxEnds {
		return fmt.Errorf("text_config.eos_token_id lists %d tokens, at most %d are read", len(t.EOS), maxEnds)
	}
	for _, id := range slices.Concat([]int32{t.BOS, t.Pad}, t.EOS) {
		if id < 0 || int(id) >= t.VocabSize {
			return fmt.Errorf("text_config: BOS, EOS or the padding is token %d, which is not in the vocabulary of %d", id, t.VocabSize)
		}
	}
	return nil
}

// normEpsilon is that of OPT's norms, which no config names.
const normEpsilon = 1e-5

// positionOffset is how far OPT's table of positions is shifted.
const positionOffset = 2
