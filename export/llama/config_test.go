package llama

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"mllm4rec/internal/fail"
	"mllm4rec/internal/testkit"
)

// settings is a config.json as old files of Llama have it, to be changed by a test.
func settings(change map[string]any) map[string]any {
	s := map[string]any{
		"model_type": "llama", "vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
		"num_key_value_heads": 2, "intermediate_size": 48, "max_position_embeddings": 256, "rms_norm_eps": 1e-5,
	}
	for key, value := range change {
		s[key] = value
	}
	return s
}

func configOf(t testing.TB, s map[string]any) (Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(path, testkit.Must(json.Marshal(s))(t), 0o600); err != nil {
		t.Fatal(err)
	}
	return readConfig(path)
}

type object = map[string]any

func TestConfigOfOldAndNewFiles(t *testing.T) {
	t.Parallel()
	llama3 := object{"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 64}
	llama3New := object{"rope_theta": 5e5, "rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 64}
	scaled := &RopeScaling{Type: ropeLlama3, Factor: 8, LowFreqFactor: 1, HighFreqFactor: 4, OriginalMaxPositions: 64}
	for _, c := range []struct {
		name   string
		change object
		want   func(c *Config)
	}{
		{"nothing but sizes", nil, func(*Config) {}},
		{"one key and value head a head where the key is absent", object{"num_key_value_heads": nil}, func(c *Config) { c.KVHeads = 4 }},
		{"rope_theta of old files", object{"rope_theta": 5e5}, func(c *Config) { c.RopeTheta = 5e5 }},
		{"rope_parameters of new files", object{"rope_parameters": object{"rope_theta": 5e5, "rope_type": "default"}}, func(c *Config) { c.RopeTheta = 5e5 }},
		{"linear rope_scaling of old files", object{"rope_scaling": object{"type": "linear", "factor": 2}}, func(c *Config) {
			c.RopeScaling = &RopeScaling{Type: ropeLinear, Factor: 2, OriginalMaxPositions: 256}
		}},
		{"llama3 rope_scaling of old files", object{"rope_theta": 5e5, "rope_scaling": llama3}, func(c *Config) { c.RopeTheta, c.RopeScaling = 5e5, scaled }},
		{"llama3 rope_parameters of new files", object{"rope_parameters": llama3New}, func(c *Config) { c.RopeTheta, c.RopeScaling = 5e5, scaled }},
		{"a head size of its own", object{"head_dim": 16}, func(c *Config) { c.HeadDim = 16 }},
		{"biases of Llama", object{"attention_bias": true}, func(c *Config) { c.QKVBias, c.OutBias = true, true }},
		{"several ends", object{"bos_token_id": 7, "eos_token_id": []int{9, 8}}, func(c *Config) { c.BOS, c.EOS = 7, 9 }},
		{"no beginning", object{"bos_token_id": nil, "eos_token_id": nil}, func(c *Config) { c.BOS, c.EOS = -1, -1 }},
		{"Mistral's window is 4096 where the key is absent", object{"model_type": "mistral"}, func(c *Config) { c.Architecture, c.SlidingWindow = "mistral", 4096 }},
		{"Mistral without a window", object{"model_type": "mistral", "sliding_window": nil}, func(c *Config) { c.Architecture = "mistral" }},
		{"Qwen2 has biases at q, k and v", object{"model_type": "qwen2", "sliding_window": 32}, func(c *Config) {
			c.Architecture, c.QKVBias, c.BOS, c.EOS = "qwen2", true, -1, -1
		}},
		{"Qwen2 with its window in all layers", object{"model_type": "qwen2", "sliding_window": 32, "use_sliding_window": true, "max_window_layers": 0}, func(c *Config) {
			c.Architecture, c.QKVBias, c.BOS, c.EOS, c.SlidingWindow = "qwen2", true, -1, -1, 32
		}},
		{"Qwen3 has norms of q and k, and heads of 128", object{"model_type": "qwen3"}, func(c *Config) {
			c.Architecture, c.QKNorm, c.HeadDim, c.BOS, c.EOS = "qwen3", true, 128, -1, -1
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			want := Config{
				Architecture: "llama", VocabSize: 64, Hidden: 32, Layers: 2, Heads: 4, KVHeads: 2, HeadDim: 8, Intermediate: 48,
				MaxPositions: 256, NormEpsilon: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
			}
			c.want(&want)
			if got, err := configOf(t, settings(c.change)); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, %v\nwant %+v", got, err, want)
			}
		})
	}
}

func TestConfigRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change object
		want   string
	}{
		{"another architecture", object{"model_type": "gpt2"}, `model_type is "gpt2"`},
		{"weights quantised elsewhere", object{"quantization_config": object{"quant_method": "gptq"}}, "quantization_config"},
		{"another activation", object{"hidden_act": "gelu"}, `hidden_act is "gelu"`},
		{"feed-forward biases", object{"mlp_bias": true}, "mlp_bias"},
		{"a missing size", object{"hidden_size": nil}, "hidden_size is missing"},
		{"no layers", object{"num_hidden_layers": 0}, "the number of layers is 0"},
		{"a vocabulary without end", object{"vocab_size": 1 << 30}, "the vocabulary is 1073741824"},
		{"heads that do not share", object{"num_key_value_heads": 3}, "4 attention heads cannot share 3"},
		{"heads that do not divide", object{"num_attention_heads": 5, "num_key_value_heads": 5}, "does not divide into 5 heads"},
		{"a head without end", object{"head_dim": 1 << 20}, "the size of a head is 1048576, it must be from 1 to 4096"},
		{"an odd head", object{"head_dim": 7}, "rotary positions need an even one"},
		{"an epsilon of 0", object{"rms_norm_eps": 0}, "epsilon"},
		{"a base of 0", object{"rope_theta": 0}, "base of the rotary frequencies"},
		{"unknown scaling", object{"rope_scaling": object{"rope_type": "yarn", "factor": 4}}, `rope_type is "yarn"`},
		{"scaling without a factor", object{"rope_scaling": object{"rope_type": "linear"}}, "factor of the rotary scaling is 0"},
		{"llama3 without its passage", object{"rope_scaling": object{"rope_type": "llama3", "factor": 8}}, "low_freq_factor 0"},
		{"positions of a part of a head", object{"partial_rotary_factor": 0.5}, "partial_rotary_factor"},
		{"a window in some layers", object{"model_type": "qwen2", "sliding_window": 32, "use_sliding_window": true, "max_window_layers": 1}, "1 of 2 layers have a sliding window"},
		{"layer_types of another model", object{"model_type": "qwen3", "layer_types": []string{"full_attention"}}, "layer_types has 1 entries for 2"},
		{"a layer of another kind", object{"model_type": "qwen3", "layer_types": []string{"full_attention", "mamba"}}, `of kind "mamba"`},
		{"a negative window", object{"model_type": "mistral", "sliding_window": -5}, "sliding window is -5"},
		{"an end outside the vocabulary", object{"eos_token_id": 64}, "EOS 64 is not in the vocabulary"},
		{"an empty list of ends", object{"eos_token_id": []int{}}, "empty list"},
		{"null in a list of ends", object{"eos_token_id": []any{nil, 2}}, "[null,2] is no token id"},
		{"words for numbers", object{"vocab_size": "many"}, "vocab_size"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := configOf(t, settings(c.change))
			if err == nil || !fail.IsUsage(err) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "config.json") {
				t.Errorf("error %v, want a usage error with %q", err, c.want)
			}
		})
	}
}

func TestInverseFrequenciesFollowTheScaling(t *testing.T) {
	t.Parallel()
	c := Config{HeadDim: 8, RopeTheta: 1e4}
	plain := c.InverseFrequencies()
	for i, want := range []float64{1, 0.1, 0.01, 0.001} {
		if math.Abs(plain[i]-want) > 1e-12 {
			t.Errorf("plain: pair %d turns by %v, want %v", i, plain[i], want)
		}
	}
	for _, s := range []struct {
		name    string
		scaling RopeScaling
		want    []float64
	}{
		{"linear", RopeScaling{Type: ropeLinear, Factor: 4}, []float64{.25, .025, .0025, .00025}},
		{"divisors", RopeScaling{Type: ropeLlama3, Divisors: []float64{1, 2, 4, 8}}, []float64{1, .05, .0025, .000125}},
		// Of the waves that fit 1,000 positions (159, 15.9, 1.59, 0.159) the first two are above 4 and the last below 1; 1.59
		// is a share of (1.59 − 1) / 3 between.
		{"llama3", RopeScaling{Type: ropeLlama3, Factor: 8, LowFreqFactor: 1, HighFreqFactor: 4, OriginalMaxPositions: 1000},
			[]float64{1, .1, .00125 + .00875*(10/(2*math.Pi)-1)/3, .000125}},
	} {
		c.RopeScaling = &s.scaling
		for i, got := range c.InverseFrequencies() {
			if math.Abs(got-s.want[i]) > 1e-12 {
				t.Errorf("%s: pair %d turns by %v, want %v", s.name, i, got, s.want[i])
			}
		}
	}
}

func TestGoldenConfigs(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"llama":          "llama false false 0 10000 1 2",
		"llama-tied-mha": "llama true false 0 100000 1 2",
		"llama3-rope":    "llama false false 0 500000 1 2",
		"mistral":        "mistral false false 0 10000 1 2",
		"qwen2":          "qwen2 true false 0 1e+06 -1 -1",
		"qwen3":          "qwen3 true true 0 1e+06 -1 -1",
	} {
		c := openGolden(t, name).ck.Config()
		got := fmt.Sprintln(c.Architecture, c.TieEmbeddings, c.QKNorm, c.SlidingWindow, c.RopeTheta, c.BOS, c.EOS)
		if got != want+"\n" {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
		if (c.RopeScaling != nil) != (name == "llama3-rope") || c.QKVBias != (name == "qwen2") {
			t.Errorf("%s: %+v", name, c)
		}
	}
}
