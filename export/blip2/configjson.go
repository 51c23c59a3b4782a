package blip2

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"mllm4rec/export/weights"
	"mllm4rec/internal/fail"
)

// configFile is what we read of config.json. What it leaves out has the default of Hugging Face's class: files of 2024
// and later hold only what differs.
type configFile struct {
	ModelType     string          `json:"model_type"`
	Architectures []string        `json:"architectures"`
	Queries       *int            `json:"num_query_tokens"`
	Vision        visionFile      `json:"vision_config"`
	QFormer       qformerFile     `json:"qformer_config"`
	Text          textFile        `json:"text_config"`
	Quantization  json.RawMessage `json:"quantization_config"`
}

type visionFile struct {
	Hidden       *int     `json:"hidden_size"`
	Layers       *int     `json:"num_hidden_layers"`
	Heads        *int     `json:"num_attention_heads"`
	Intermediate *int     `json:"intermediate_size"`
	Image        *square  `json:"image_size"`
	Patch        *square  `json:"patch_size"`
	Activation   *string  `json:"hidden_act"`
	Epsilon      *float64 `json:"layer_norm_eps"`
	QKVBias      *bool    `json:"qkv_bias"`
}

type qformerFile struct {
	Hidden       *int     `json:"hidden_size"`
	Layers       *int     `json:"num_hidden_layers"`
	Heads        *int     `json:"num_attention_heads"`
	Intermediate *int     `json:"intermediate_size"`
	CrossEvery   *int     `json:"cross_attention_frequency"`
	Activation   *string  `json:"hidden_act"`
	Epsilon      *float64 `json:"layer_norm_eps"`
}

type textFile struct {
	ModelType    *string          `json:"model_type"`
	Hidden       *int             `json:"hidden_size"`
	Layers       *int             `json:"num_hidden_layers"`
	Heads        *int             `json:"num_attention_heads"`
	Intermediate *int             `json:"ffn_dim"`
	Vocab        *int             `json:"vocab_size"`
	MaxPositions *int             `json:"max_position_embeddings"`
	Projection   *int             `json:"word_embed_proj_dim"`
	Activation   *string          `json:"activation_function"`
	NormBefore   *bool            `json:"do_layer_norm_before"`
	NoFinalNorm  bool             `json:"_remove_final_layer_norm"`
	Bias         *bool            `json:"enable_bias"`
	Affine       *bool            `json:"layer_norm_elementwise_affine"`
	Tied         *bool            `json:"tie_word_embeddings"`
	BOS          weights.TokenIDs `json:"bos_token_id"`
	EOS          weights.TokenIDs `json:"eos_token_id"`
	Pad          weights.TokenIDs `json:"pad_token_id"`
}

// square is a side, or two that are equal.
type square int

// UnmarshalJSON reads both forms.
func (s *square) UnmarshalJSON(text []byte) error {
	var one int
	if json.Unmarshal(text, &one) == nil {
		*s = square(one)
		return nil
	}
	var sides []int
	if err := json.Unmarshal(text, &sides); err != nil || len(sides) != 2 || sides[0] != sides[1] {
		return fmt.Errorf("%.50s is no side of a square; other pictures are not known", text)
	}
	*s = square(sides[0])
	return nil
}

// orElse is what a key names, or the default where it is absent.
func orElse(t weights.TokenIDs, absent int32) []int32 {
	if !t.Given {
		return []int32{absent}
	}
	return t.IDs
}

// ReadConfig reads a config.json. A model of another kind and sizes that do not fit each other are usage errors.
func ReadConfig(path string) (Config, error) {
	var f configFile
	if err := weights.ReadJSON(path, "a Hugging Face model has a config.json beside its weights", &f); err != nil {
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
	v, q := &f.Vision, &f.QFormer
	c := Config{
		Queries: or(f.Queries, 32),
		Vision: Vision{
			Hidden: or(v.Hidden, 1408), Layers: or(v.Layers, 39), Heads: or(v.Heads, 16), Intermediate: or(v.Intermediate, 6144),
			ImageSize: int(or(v.Image, 224)), PatchSize: int(or(v.Patch, 14)), Activation: or(v.Activation, "gelu"),
			NormEpsilon: or(v.Epsilon, 1e-6), QKVBias: or(v.QKVBias, true),
		},
		QFormer: QFormer{
			Hidden: or(q.Hidden, 768), Layers: or(q.Layers, 12), Heads: or(q.Heads, 12), Intermediate: or(q.Intermediate, 3072),
			CrossEvery: or(q.CrossEvery, 2), Activation: or(q.Activation, "gelu"), NormEpsilon: or(q.Epsilon, 1e-12),
		},
	}
	var err error
	if c.Text, err = f.Text.config(); err != nil {
		return Config{}, fmt.Errorf("text_config: %w", err)
	}
	return c, c.check()
}

// refuse names what this family does not have.
func (f *configFile) refuse() error {
	const architecture = "Blip2ForConditionalGeneration"
	switch decoder := or(f.Text.ModelType, "opt"); {
	case f.ModelType != "blip-2":
		return fmt.Errorf("model_type is %q; captioners are made of blip-2 models", f.ModelType)
	case len(f.Architectures) > 0 && !slices.Contains(f.Architectures, architecture):
		return fmt.Errorf("architectures is %q; captioners are made of %s", f.Architectures, architecture)
	case decoder != "opt":
		return fmt.Errorf("text_config.model_type is %q; only opt is known, as in blip2-opt-2.7b", decoder)
	case len(f.Quantization) > 0 && !bytes.Equal(f.Quantization, []byte("null")):
		return errors.New("quantization_config: weights that another tool has quantised are not read; use the model in float16 or float32")
	}
	return nil
}

func (t *textFile) config() (Text, error) {
	c := Text{
		Hidden: or(t.Hidden, 768), Layers: or(t.Layers, 12), Heads: or(t.Heads, 12), Intermediate: or(t.Intermediate, 3072),
		VocabSize: or(t.Vocab, 50272), MaxPositions: or(t.MaxPositions, 2048), Activation: or(t.Activation, "relu"),
		NormBefore: or(t.NormBefore, true), Bias: or(t.Bias, true), Tied: or(t.Tied, true), EOS: orElse(t.EOS, 2),
	}
	c.FinalNorm = c.NormBefore && !t.NoFinalNorm
	if p := or(t.Projection, c.Hidden); p != c.Hidden {
		return Text{}, fmt.Errorf("word_embed_proj_dim is %d and hidden_size %d: the picture's vectors would not fit the words'", p, c.Hidden)
	}
	if !or(t.Affine, true) {
		return Text{}, errors.New("layer_norm_elementwise_affine is false; norms without weights are not known")
	}
	bos, pad := orElse(t.BOS, 2), orElse(t.Pad, 1)
	if len(bos) != 1 {
		return Text{}, errors.New("bos_token_id is no single token: nothing begins a caption")
	}
	if len(pad) == 0 { // Hugging Face pads with what ends a text
		pad = append(c.EOS[:len(c.EOS):len(c.EOS)], bos...)
	}
	c.BOS, c.Pad = bos[0], pad[0]
	return c, nil
}

func or[T any](p *T, absent T) T {
	if p == nil {
		return absent
	}
	return *p
}
