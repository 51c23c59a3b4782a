package main

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mllm4rec/export/blip2"
	"mllm4rec/export/llama/llamatest"
	"mllm4rec/export/matrix"
	"mllm4rec/export/weights"
)

// imageToken stands for the picture in Hugging Face's prompt.
const imageToken = 50265

// midSize is a model between the tiny ones of the tests and the real ones.
var midSize = map[string]any{
	"architectures": []string{"Blip2ForConditionalGeneration"}, "model_type": "blip-2", "num_query_tokens": 32, "image_token_index": imageToken,
	"vision_config":  map[string]any{"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12, "image_size": 224, "patch_size": 14, "qkv_bias": true},
	"qformer_config": map[string]any{"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 6, "num_attention_heads": 12, "encoder_hidden_size": 768},
	"text_config":    text(768, 3072, 12, 12),
}

// full is blip2-opt-2.7b.
var full = map[string]any{
	"architectures": []string{"Blip2ForConditionalGeneration"}, "model_type": "blip-2", "num_query_tokens": 32, "image_token_index": imageToken,
	"vision_config":  map[string]any{"hidden_size": 1408, "intermediate_size": 6144, "num_hidden_layers": 39, "num_attention_heads": 16, "image_size": 224, "patch_size": 14, "qkv_bias": true},
	"qformer_config": map[string]any{"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12, "encoder_hidden_size": 1408},
	"text_config":    text(2560, 10240, 32, 32),
}

func text(hidden, ffn, layers, heads int) map[string]any {
	return map[string]any{
		"model_type": "opt", "hidden_size": hidden, "word_embed_proj_dim": hidden, "ffn_dim": ffn, "num_hidden_layers": layers, "num_attention_heads": heads,
		"vocab_size": 50304, "max_position_embeddings": 2048, "bos_token_id": 2, "eos_token_id": 50118, "pad_token_id": 1,
	}
}

// pictures is how the real models want pictures.
var pictures = map[string]any{
	"image_processor_type": "BlipImageProcessor", "do_convert_rgb": true, "do_resize": true, "do_rescale": true, "do_normalize": true, "resample": 3,
	"rescale_factor": 1 / 255.0, "size": map[string]int{"height": 224, "width": 224},
	"image_mean": []float64{0.48145466, 0.4578275, 0.40821073}, "image_std": []float64{0.26862954, 0.26130258, 0.27577711},
}

// shardBytes bounds a file of weights, and with it the memory that making them takes.
const shardBytes = 1 << 30

// writeCheckpoint makes a Hugging Face folder of random weights, in float32 or bfloat16, unless it is there.
func writeCheckpoint(dir string, config map[string]any, dtype weights.DType) (*blip2.Config, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	for name, value := range map[string]any{"config.json": config, "preprocessor_config.json": pictures, "tokenizer.json": llamatest.Vocabulary()} {
		if err := writeJSON(filepath.Join(dir, name), value); err != nil {
			return nil, err
		}
	}
	c, err := blip2.ReadConfig(filepath.Join(dir, "config.json"))
	if err != nil {
		return nil, err
	}
	index := filepath.Join(dir, "model.safetensors.index.json")
	if _, err := os.Stat(index); err == nil {
		return &c, nil
	}
	files, err := writeShards(dir, c.Tensors(), dtype)
	if err != nil {
		return nil, err
	}
	return &c, writeJSON(index, map[string]any{"metadata": map[string]any{}, "weight_map": files})
}

// writeShards draws all tensors and returns where each lies.
func writeShards(dir string, shapes map[string][]int64, dtype weights.DType) (files map[string]string, err error) {
	files = map[string]string{}
	var shard []weights.Tensor
	bytes, count := 0, 0
	flush := func() error {
		if len(shard) == 0 {
			return nil
		}
		count++
		name := fmt.Sprintf("model-%05d.safetensors", count)
		for _, t := range shard {
			files[t.Name] = name
		}
		err := weights.Write(filepath.Join(dir, name), shard, map[string]string{"format": "pt"})
		shard, bytes = nil, 0
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		t, err := draw(name, shapes[name], dtype)
		if err != nil {
			return nil, err
		}
		shard, bytes = append(shard, t), bytes+len(t.Data)
		if bytes >= shardBytes {
			if err := flush(); err != nil {
				return nil, err
			}
		}
	}
	return files, flush()
}

// draw makes a tensor of weights with which pictures make a difference: about as spread as layers have them when their training
// begins, so that numbers stay in the middle through many layers.
func draw(name string, shape []int64, dtype weights.DType) (weights.Tensor, error) {
	n, width := int64(1), int64(1)
	for i, d := range shape {
		if n *= d; i > 0 {
			width *= d
		}
	}
	mean, spread := 0.0, math.Sqrt(3/float64(width))
	switch {
	case strings.Contains(name, "norm") && strings.HasSuffix(name, ".weight"):
		mean, spread = 1, 0.1
	case strings.Contains(name, "embed_tokens"):
		spread /= 10 // or every word would be the one before
	}
	values := make([]float32, n)
	hash := fnv.New64()
	_, _ = hash.Write([]byte(name))
	const stretch = 1 << 16
	matrix.Parallel(int((n+stretch-1)/stretch), func(from, to int) {
		for s := int64(from); s < int64(to); s++ {
			random := rand.New(rand.NewPCG(hash.Sum64(), uint64(s)))
			for i := s * stretch; i < min(n, (s+1)*stretch); i++ {
				values[i] = float32(mean + spread*(2*random.Float64()-1))
			}
		}
	})
	t := weights.FromFloat32(name, shape, values)
	if dtype != weights.F32 {
		return t, t.Convert(dtype)
	}
	return t, nil
}

func writeJSON(path string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}
