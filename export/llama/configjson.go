package llama

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"mllm4rec/export/weights"
	"mllm4rec/internal/fail"
)

// configFile is what we read of Hugging Face's config.json. Pointers tell a key that is absent (or null) from a zero.
type configFile struct {
	ModelType    string   `json:"model_type"`
	Vocab        *int     `json:"vocab_size"`
	Hidden       *int     `json:"hidden_size"`
	Layers       *int     `json:"num_hidden_layers"`
	Heads        *int     `json:"num_attention_heads"`
	KVHeads      *int     `json:"num_key_value_heads"`
	HeadDim      *int     `json:"head_dim"`
	Intermediate *int     `json:"intermediate_size"`
	MaxPositions *int     `json:"max_position_embeddings"`
	NormEpsilon  *float64 `json:"rms_norm_eps"`
	Activation   *string  `json:"hidden_act"`

	AttentionBias bool `json:"attention_bias"`
	MLPBias       bool `json:"mlp_bias"`
	Tied          bool `json:"tie_word_embeddings"`

	RopeTheta      *float64  `json:"rope_theta"`
	RopeScaling    *ropeFile `json:"rope_scaling"`
	RopeParameters *ropeFile `json:"rope_parameters"`
	Partial        *float64  `json:"partial_rotary_factor"`

	SlidingWindow    *int     `json:"sliding_window"` // absent: see newConfigFile; null: none
	UseSlidingWindow bool     `json:"use_sliding_window"`
	MaxWindowLayers  *int     `json:"max_window_layers"`
	LayerTypes       []string `json:"layer_types"`

	BOS weights.TokenIDs `json:"bos_token_id"`
	EOS weights.TokenIDs `json:"eos_token_id"`

	Quantization json.RawMessage `json:"quantization_config"`
}

// newConfigFile holds what an absent key means that may also be null. The classes of Mistral and Qwen have a window of 4096.
func newConfigFile() *configFile {
	window := 4096
	return &configFile{SlidingWindow: &window}
}

// readConfig reads a config.json.
func readConfig(path string) (Config, error) {
	f := newConfigFile()
	if err := weights.ReadJSON(path, "a Hugging Face model has a config.json beside its weights", f); err != nil {
		return Config{}, err
	}
	c, err := f.config()
	if err != nil {
		return Config{}, fail.Usagef("%s: %w", path, err)
	}
	return c, nil
}

// config turns what the file says into what the model is.
func (f *configFile) config() (Config, error) {
	if err := f.refuse(); err != nil {
		return Config{}, err
	}
	c := Config{
		Architecture: f.ModelType, NormEpsilon: or(f.NormEpsilon, 1e-6), TieEmbeddings: f.Tied,
		QKVBias: f.ModelType == archQwen2 || f.AttentionBias, OutBias: f.ModelType != archQwen2 && f.AttentionBias,
		QKNorm: f.ModelType == archQwen3,
	}
	if f.ModelType == archMistral {
		c.QKVBias, c.OutBias = false, false // Mistral has no such key
	}
	if err := f.sizes(&c); err != nil {
		return Config{}, err
	}
	var err error
	if c.RopeTheta, c.RopeScaling, err = f.rope(c.MaxPositions); err != nil {
		return Config{}, err
	}
	if c.SlidingWindow, err = f.window(c.Layers); err != nil {
		return Config{}, err
	}
	if c.BOS, err = f.token(f.BOS, 1); err != nil {
		return Config{}, err
	}
	if c.EOS, err = f.token(f.EOS, 2); err != nil {
		return Config{}, err
	}
	return c, c.check()
}

// refuse names what this family does not have.
func (f *configFile) refuse() error {
	known := []string{archLlama, archMistral, archQwen2, archQwen3}
	switch {
	case !slices.Contains(known, f.ModelType):
		return fmt.Errorf("model_type is %q; models of %v are read", f.ModelType, known)
	case len(f.Quantization) > 0 && !bytes.Equal(f.Quantization, []byte("null")):
		return errors.New("quantization_config: weights that another tool has quantised are not read; use the model in bfloat16, or a GGUF file")
	case or(f.Activation, "silu") != "silu":
		return fmt.Errorf("hidden_act is %q; only silu is known", *f.Activation)
	case f.MLPBias:
		return errors.New("mlp_bias is true; biases in the feed-forward layers are not known")
	}
	return nil
}

// sizes reads the whole numbers. Keys that old files lack have the defaults of Hugging Face's classes.
func (f *configFile) sizes(c *Config) error {
	for _, key := range []struct {
		name string
		from *int
		to   *int
	}{
		{"vocab_size", f.Vocab, &c.VocabSize}, {"hidden_size", f.Hidden, &c.Hidden}, {"num_hidden_layers", f.Layers, &c.Layers},
		{"num_attention_heads", f.Heads, &c.Heads}, {"intermediate_size", f.Intermediate, &c.Intermediate},
		{"max_position_embeddings", f.MaxPositions, &c.MaxPositions},
	} {
		if key.from == nil {
			return fmt.Errorf("%s is missing", key.name)
		}
		*key.to = *key.from
	}
	c.KVHeads = or(f.KVHeads, c.Heads)
	switch {
	case f.HeadDim != nil:
		c.HeadDim = *f.HeadDim
	case f.ModelType == archQwen3:
		c.HeadDim = 128
	case c.Heads < 1 || c.Hidden%c.Heads != 0:
		return fmt.Errorf("hidden_size %d does not divide into %d heads, and head_dim is missing", c.Hidden, c.Heads)
	default:
		c.HeadDim = c.Hidden / c.Heads
	}
	return nil
}

// token is a BOS or EOS: an absent key means what the class of the architecture says, null means none.
func (f *configFile) token(ids weights.TokenIDs, absent int32) (int32, error) {
	switch {
	case !ids.Given && (f.ModelType == archLlama || f.ModelType == archMistral):
		return absent, nil
	case ids.IDs == nil:
		return -1, nil
	case len(ids.IDs) == 0:
		return 0, errors.New("bos_token_id or eos_token_id is an empty list")
	}
	return ids.IDs[0], nil
}

func or[T any](p *T, absent T) T {
	if p == nil {
		return absent
	}
	return *p
}
