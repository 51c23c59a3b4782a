// Package llamatest makes tiny language models for tests: Hugging Face folders of random weights, with a vocabulary of the
// 256 bytes. They know nothing, and are whole models all the same.
package llamatest

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"

	"mllm4rec/export/weights"
)

// vocab is the models' number of tokens: the bytes and two special ones.
const vocab = 258

// The other sizes of the models.
const (
	hidden       = 32
	layers       = 2
	heads        = 2
	kvHeads      = 1
	intermediate = 48
	maxPositions = 2048
)

// Write makes a model in the folder dir. Another seed is another model of the same form.
func Write(dir string, seed uint64) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	config := map[string]any{
		"model_type": "llama", "vocab_size": vocab, "hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads,
		"num_key_value_heads": kvHeads, "intermediate_size": intermediate, "max_position_embeddings": maxPositions, "rms_norm_eps": 1e-5,
		"rope_theta": 1e4, "tie_word_embeddings": true, "bos_token_id": nil, "eos_token_id": vocab - 1,
	}
	if err := writeJSON(filepath.Join(dir, "config.json"), config); err != nil {
		return err
	}
	if err := writeJSON(filepath.Join(dir, "tokenizer.json"), Vocabulary()); err != nil {
		return err
	}
	return weights.Write(filepath.Join(dir, "model.safetensors"), tensors(rand.New(rand.NewPCG(seed, 1))), map[string]string{"format": "pt"})
}

func writeJSON(path string, value any) error {
	text, err := json.MarshalIndent(value, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}

// Vocabulary is a tokenizer.json: a byte-level vocabulary without merges, <|pad|> 256 and <|end|> 257.
func Vocabulary() map[string]any {
	ids := map[string]int{}
	next := rune(256)
	for b := range 256 { // GPT-2's way to write bytes as characters
		c := rune(b)
		if visible := c >= '!' && c <= '~' || c >= 0xA1 && c <= 0xAC || c >= 0xAE; !visible {
			c = next
			next++
		}
		ids[string(c)] = b
	}
	special := func(id int, text string) map[string]any {
		return map[string]any{
			"id": id, "content": text, "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
		}
	}
	return map[string]any{
		"version": "1.0", "added_tokens": []any{special(vocab-2, "<|pad|>"), special(vocab-1, "<|end|>")},
		"normalizer": nil, "post_processor": nil, "decoder": map[string]any{"type": "ByteLevel"},
		"pre_tokenizer": map[string]any{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
		"model":         map[string]any{"type": "BPE", "vocab": ids, "merges": []string{}},
	}
}

// tensors draws weights that are large enough for prompts to make a difference.
func tensors(random *rand.Rand) []weights.Tensor {
	const size = hidden / heads
	var all []weights.Tensor
	add := func(name string, mean, spread float32, shape ...int64) {
		n := int64(1)
		for _, d := range shape {
			n *= d
		}
		values := make([]float32, n)
		for i := range values {
			values[i] = mean + spread*float32(random.NormFloat64())
		}
		all = append(all, weights.FromFloat32(name, shape, values))
	}
	add("model.embed_tokens.weight", 0, 1, vocab, hidden)
	add("model.norm.weight", 1, 0.1, hidden)
	for i := range layers {
		layer := "model.layers." + strconv.Itoa(i) + "."
		add(layer+"input_layernorm.weight", 1, 0.1, hidden)
		add(layer+"post_attention_layernorm.weight", 1, 0.1, hidden)
		add(layer+"self_attn.q_proj.weight", 0, 0.3, heads*size, hidden)
		add(layer+"self_attn.k_proj.weight", 0, 0.3, kvHeads*size, hidden)
		add(layer+"self_attn.v_proj.weight", 0, 0.3, kvHeads*size, hidden)
		add(layer+"self_attn.o_proj.weight", 0, 0.3, hidden, heads*size)
		add(layer+"mlp.gate_proj.weight", 0, 0.3, intermediate, hidden)
		add(layer+"mlp.up_proj.weight", 0, 0.3, intermediate, hidden)
		add(layer+"mlp.down_proj.weight", 0, 0.3, hidden, intermediate)
	}
	return all
}
