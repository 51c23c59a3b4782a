// Package blip2test makes tiny BLIP-2 models for tests: Hugging Face folders of random weights, with a vocabulary of the 256
// bytes. They see nothing, and are whole models all the same.
package blip2test

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mllm4rec/export/blip2"
	"mllm4rec/export/llama/llamatest"
	"mllm4rec/export/weights"
)

// Size is the side of the models' pictures in pixels.
const Size = 28

// config is the models' config.json: what it leaves out has Hugging Face's defaults.
var config = map[string]any{
	"architectures": []string{"Blip2ForConditionalGeneration"}, "model_type": "blip-2", "num_query_tokens": 4,
	"vision_config": map[string]any{
		"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": Size, "patch_size": 7,
	},
	"qformer_config": map[string]any{"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2},
	"text_config": map[string]any{
		"model_type": "opt", "hidden_size": 32, "ffn_dim": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 258,
		"max_position_embeddings": 64, "bos_token_id": 257, "eos_token_id": 257, "pad_token_id": 256,
	},
}

// Write makes a model in the folder dir. Another seed is another model of the same form.
func Write(dir string, seed uint64) error {
	pictures := map[string]any{"image_mean": []float64{0.5, 0.5, 0.5}, "image_std": []float64{0.25, 0.25, 0.25}, "size": map[string]int{"height": Size, "width": Size}}
	for name, value := range map[string]any{"config.json": config, "preprocessor_config.json": pictures, "tokenizer.json": llamatest.Vocabulary()} {
		text, err := json.MarshalIndent(value, "", " ")
		if err != nil {
			return err
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	c, err := blip2.ReadConfig(filepath.Join(dir, "config.json"))
	if err != nil {
		return err
	}
	return weights.Write(filepath.Join(dir, weights.SingleName), tensors(&c, rand.New(rand.NewPCG(seed, 1))), map[string]string{"format": "pt"})
}

// tensors draws weights that are large enough for pictures to make a difference.
func tensors(c *blip2.Config, random *rand.Rand) []weights.Tensor {
	var all []weights.Tensor
	shapes := c.Tensors()
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		n := int64(1)
		for _, d := range shapes[name] {
			n *= d
		}
		mean, spread := float32(0), float32(0.3)
		if strings.Contains(name, "norm") && strings.HasSuffix(name, ".weight") {
			mean, spread = 1, 0.1
		}
		values := make([]float32, n)
		for i := range values {
			values[i] = mean + spread*float32(random.NormFloat64())
		}
		all = append(all, weights.FromFloat32(name, shapes[name], values))
	}
	return all
}
