package blip2

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mllm4rec/export/matrix"
	"mllm4rec/export/weights"
	"mllm4rec/internal/fail"
	"mllm4rec/internal/testkit"
)

// copied is a folder with the golden checkpoint's files, to be changed.
func copied(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"config.json", "preprocessor_config.json", weights.SingleName, "tokenizer.json"} {
		data := testkit.Must(os.ReadFile(filepath.Join(tiny(t), name)))(t)
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// edit changes a JSON file; a path of keys leads to what is set, nil takes it away.
func edit(t testing.TB, path, key string, value any) {
	t.Helper()
	var all map[string]any
	if err := json.Unmarshal(testkit.Must(os.ReadFile(path))(t), &all); err != nil {
		t.Fatal(err)
	}
	at, keys := all, strings.Split(key, ".")
	for _, k := range keys[:len(keys)-1] {
		at = at[k].(map[string]any)
	}
	if last := keys[len(keys)-1]; value == nil {
		delete(at, last)
	} else {
		at[last] = value
	}
	if err := os.WriteFile(path, testkit.Must(json.Marshal(all))(t), 0o600); err != nil {
		t.Fatal(err)
	}
}

// rewrite changes the checkpoint's tensors.
func rewrite(t testing.TB, dir string, change func(all map[string]weights.Tensor)) {
	t.Helper()
	path := filepath.Join(dir, weights.SingleName)
	file := testkit.Must(weights.Open(path))(t)
	all := map[string]weights.Tensor{}
	for _, name := range file.Names() {
		all[name] = testkit.Must(file.Tensor(name))(t)
	}
	_ = file.Close()
	change(all)
	var list []weights.Tensor
	for _, name := range slices.Sorted(maps.Keys(all)) {
		tensor := all[name]
		tensor.Name = name
		list = append(list, tensor)
	}
	if err := weights.Write(path, list, nil); err != nil {
		t.Fatal(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	config := func(key string, value any) func(testing.TB, string) {
		return func(t testing.TB, dir string) { edit(t, filepath.Join(dir, "config.json"), key, value) }
	}
	pictures := func(key string, value any) func(testing.TB, string) {
		return func(t testing.TB, dir string) {
			edit(t, filepath.Join(dir, "preprocessor_config.json"), key, value)
		}
	}
	tensors := func(change func(map[string]weights.Tensor)) func(testing.TB, string) {
		return func(t testing.TB, dir string) { rewrite(t, dir, change) }
	}
	const fc1 = "language_model.model.decoder.layers.1.fc1.weight"
	for _, c := range []struct {
		name   string
		change func(t testing.TB, dir string)
		want   string
	}{
		{"another architecture", config("architectures", []string{"Blip2ForImageTextRetrieval"}), `architectures is ["Blip2ForImageTextRetrieval"]`},
		{"another kind of model", config("model_type", "instructblip"), `model_type is "instructblip"`},
		{"a decoder of T5", config("text_config.model_type", "t5"), `text_config.model_type is "t5"; only opt is known`},
		{"a vocabulary of another size", config("text_config.vocab_size", 90), `tensor "language_model.model.decoder.embed_tokens.weight" is [80 32], config.json asks for [90 32]`},
		{"more layers than there are", config("text_config.num_hidden_layers", 3), `tensor "language_model.model.decoder.layers.2.`},
		{"fewer layers than there are", config("vision_config.num_hidden_layers", 1), `tensor "vision_model.encoder.layers.1.layer_norm1.bias" is no part of the model`},
		{"heads that do not divide", config("qformer_config.num_attention_heads", 5), "qformer_config: a hidden size of 32 does not divide into 5 heads"},
		{"an unknown activation", config("vision_config.hidden_act", "mish"), `vision_config: the activation "mish" is not known`},
		{"no layers", config("text_config.num_hidden_layers", 0), "text_config.num_hidden_layers is 0"},
		{"words of another width", config("text_config.word_embed_proj_dim", 16), "word_embed_proj_dim is 16 and hidden_size 32"},
		{"norms without weights", config("text_config.layer_norm_elementwise_affine", false), "layer_norm_elementwise_affine"},
		{"an end outside the vocabulary", config("text_config.eos_token_id", 80), "token 80, which is not in the vocabulary of 80"},
		{"two beginnings", config("text_config.bos_token_id", []int{1, 2}), "bos_token_id is no single token"},
		{"pictures that are no squares", config("vision_config.image_size", []int{28, 35}), "no side of a square"},
		{"pictures of no pixels", config("vision_config.image_size", 0), "vision_config.image_size is 0, it must be from 1"},
		{"null in a list of ends", config("text_config.eos_token_id", []any{nil, 2}), "[null,2] is no token id"},
		{"patches larger than pictures", config("vision_config.patch_size", 29), "vision_config.patch_size is 29, it must be from 1 to 28"},
		{"more queries than positions", config("num_query_tokens", 64), "num_query_tokens is 64, it must be from 1 to 63"},
		{"weights of bitsandbytes", config("quantization_config", map[string]any{"load_in_8bit": true}), "quantization_config"},
		{"no config", func(_ testing.TB, dir string) { _ = os.Remove(filepath.Join(dir, "config.json")) }, "config.json: no such file"},
		{"no picture's config", func(_ testing.TB, dir string) { _ = os.Remove(filepath.Join(dir, "preprocessor_config.json")) }, "processor_config.json: no such file"},
		{"pictures of another size", pictures("size", map[string]any{"height": 28, "width": 30}), "size is 28 × 30, the model's image_size 28"},
		{"another resampling", pictures("resample", 2), "resample is 2; only bicubic"},
		{"another scale", pictures("rescale_factor", 0.5), "rescale_factor is 0.5"},
		{"no normalising", pictures("do_normalize", false), "do_normalize"},
		{"four colours", pictures("image_std", []int{1, 1, 1, 1}), "image_std has 4 numbers"},
		{"a deviation of nothing", pictures("image_std", []int{1, 0, 1}), "image_std holds 0"},
		{"a missing tensor", tensors(func(all map[string]weights.Tensor) { delete(all, fc1) }), `tensor "` + fc1 + `" is missing`},
		{"a tensor of another shape", tensors(func(all map[string]weights.Tensor) {
			x := all[fc1]
			x.Shape = []int64{32, 64}
			all[fc1] = x
		}), `tensor "` + fc1 + `" is [32 64], config.json asks for [64 32]`},
		{"whole numbers for weights", tensors(func(all map[string]weights.Tensor) {
			all[fc1] = weights.Tensor{DType: weights.I32, Shape: []int64{64, 32}, Data: make([]byte, 4*64*32)}
		}), "it is I32 where a floating-point type belongs"},
		{"a file that is cut", func(t testing.TB, dir string) {
			if err := os.Truncate(filepath.Join(dir, weights.SingleName), 200_000); err != nil {
				t.Fatal(err)
			}
		}, "not a sound safetensors file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := copied(t)
			c.change(t, dir)
			ck, err := Open(dir)
			if err == nil {
				_ = ck.Close()
			}
			if err == nil || !fail.IsUsage(err) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want a usage error of one line with %q", err, c.want)
			}
		})
	}
}

// TestOlderCheckpointsGiveTheSame: those of 2023 name no image token and prepend the queries' vectors themselves, which
// stands where the image tokens do.
func TestOlderCheckpointsGiveTheSame(t *testing.T) {
	t.Parallel()
	g, dir := openGolden(t), copied(t)
	edit(t, filepath.Join(dir, "config.json"), "image_token_index", nil)
	// The Q-Former's side for text, the tied head and buffers may be there or not.
	rewrite(t, dir, func(all map[string]weights.Tensor) {
		all[headName] = all[embeddingName]
		all["qformer.embeddings.position_ids"] = weights.Tensor{DType: weights.I64, Shape: []int64{1, 2}, Data: make([]byte, 16)}
		all["qformer.encoder.layer.0.intermediate.dense.weight"] = all["qformer.encoder.layer.0.intermediate_query.dense.weight"]
		all["qformer.encoder.layer.0.output.LayerNorm.bias"] = all["qformer.encoder.layer.0.output_query.LayerNorm.bias"]
	})
	got := exported(t, openTiny(t, dir), matrix.FP32).run(t, g.floats("pixel_values"), asked{[]int32{2}, 1, 12, []int64{2}, 1})
	if want := g.ids("greedy_ids", 9); !slices.EqualFunc(got.tokens, want, slices.Equal) {
		t.Errorf("%v, want %v", got.tokens, want)
	}
}

// TestLowerPrecisionsAreNear compares first logits, of up to 12. Numbers of the tiny model, which are random and small, lose
// more to rounding than those of real ones: bounds are about twice what was seen.
func TestLowerPrecisionsAreNear(t *testing.T) {
	t.Parallel()
	g := openGolden(t)
	for precision, within := range map[matrix.Precision]float64{matrix.FP16: 0.01, matrix.INT8: 0.15, matrix.INT4: 1.5} {
		m := exported(t, openTiny(t, tiny(t)), precision)
		got := m.run(t, g.floats("pixel_values"), asked{[]int32{2}, 1, 1, []int64{2}, 1})
		d := apart(got.logits, g.floats("first_logits"))
		t.Logf("%s: largest difference %.4f of %.1f", precision, d, slices.Max(g.floats("first_logits")))
		if !(d <= within) || d == 0 {
			t.Errorf("%s: logits differ by %v", precision, d)
		}
		for _, beams := range []int{1, 3} {
			if got := m.run(t, g.floats("pixel_values"), asked{[]int32{2, 5}, beams, 9, []int64{2}, 1}).tokens; slices.Min(got[4]) < 0 {
				t.Errorf("%s, %d beams: %v", precision, beams, got)
			}
		}
	}
}

// broken is a checkpoint with one weight that is no number.
type broken struct {
	*Checkpoint
	tensor string
}

func (b broken) Values(name string) ([]float32, error) {
	return b.with(name)(b.Checkpoint.Values(name))
}

func (b broken) Rows(name string, from, to int) ([]float32, error) {
	return b.with(name)(b.Checkpoint.Rows(name, from, to))
}

func (b broken) with(name string) func([]float32, error) ([]float32, error) {
	return func(values []float32, err error) ([]float32, error) {
		if name == b.tensor && err == nil {
			values[1] = float32(math.NaN())
		}
		return values, err
	}
}

func TestWeightsThatAreNoNumbersAreNamed(t *testing.T) {
	t.Parallel()
	ck := openTiny(t, tiny(t))
	for _, name := range []string{
		"vision_model.encoder.layers.0.self_attn.qkv.weight", "language_model.model.decoder.layers.1.self_attn.v_proj.weight", queriesName, embeddingName,
		"qformer.encoder.layer.0.output_query.LayerNorm.bias", "vision_model.embeddings.patch_embedding.weight",
	} {
		for _, precision := range matrix.Precisions() {
			out := filepath.Join(t.TempDir(), "captioner.onnx")
			err := export(t.Context(), broken{ck, name}, out, Options{Precision: precision}, false)
			if err == nil || !fail.IsUsage(err) || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "NaN") {
				t.Errorf("%s, %s: error %v", name, precision, err)
			}
			if _, err := os.Stat(out); err == nil {
				t.Error("a file was left behind")
			}
		}
	}
}

func TestExportStopsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Export(ctx, openTiny(t, tiny(t)), filepath.Join(t.TempDir(), "x.onnx"), Options{Precision: matrix.FP32}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestExportIsReproducible(t *testing.T) {
	t.Parallel()
	ck := openTiny(t, tiny(t))
	for _, precision := range matrix.Precisions() {
		var files [2][]byte
		for i := range files {
			out := filepath.Join(t.TempDir(), "captioner.onnx")
			if err := Export(t.Context(), ck, out, Options{Precision: precision}); err != nil {
				t.Fatal(err)
			}
			files[i] = testkit.Must(os.ReadFile(out))(t)
		}
		if !bytes.Equal(files[0], files[1]) {
			t.Errorf("%s: two exports differ", precision)
		}
	}
}

// FuzzConfig: whatever the bytes, a config is refused or one that a graph's tensors can be listed for.
func FuzzConfig(f *testing.F) {
	f.Add([]byte(`{"model_type":"blip-2"}`))
	f.Add([]byte(`{"model_type":"blip-2","num_query_tokens":4,"vision_config":{"image_size":[28,28],"num_hidden_layers":1},"text_config":{"eos_token_id":[2,3],"pad_token_id":null}}`))
	f.Add([]byte(`{"model_type":"blip-2","qformer_config":{"cross_attention_frequency":0},"text_config":{"bos_token_id":-1,"vocab_size":1e9}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "config.json")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := ReadConfig(path)
		if err != nil {
			if !fail.IsUsage(err) {
				t.Errorf("%v is no usage error", err)
			}
			return
		}
		for name, shape := range c.Tensors() {
			for _, d := range shape {
				if d < 1 {
					t.Errorf("%s is %v", name, shape)
				}
			}
		}
	})
}
