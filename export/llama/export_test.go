package llama

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mllm4rec/export/matrix"
	"mllm4rec/internal/fail"
	"mllm4rec/internal/testkit"
)

func TestExportRefuses(t *testing.T) {
	t.Parallel()
	g, tied := openGolden(t, "llama"), openGolden(t, "llama-tied-mha")
	for _, c := range []struct {
		name    string
		adapter *Adapter
		change  func(o *Options)
		want    string
	}{
		{"one letter", nil, func(o *Options) { o.Letters = []int32{3} }, "1 letters: a ranker needs 2 or more"},
		{"a letter twice", nil, func(o *Options) { o.Letters = []int32{3, 4, 3} }, "letter 2 is token 3"},
		{"a letter of another tokenizer", nil, func(o *Options) { o.Letters = []int32{3, 64} }, "letter 1 is token 64: letters are different tokens below 64"},
		{"a prefix of another tokenizer", nil, func(o *Options) { o.Prefix = []int32{1, -5} }, "token 1 of the prefix is -5"},
		{"a prefix as long as a prompt", nil, func(o *Options) { o.Prefix, o.MaxLength = []int32{1, 2, 3}, 3 }, "a prefix of 3 tokens leaves nothing of 3"},
		{"more positions than the model has", nil, func(o *Options) { o.MaxLength = 257 }, "a prompt of 257 tokens: the model has 256 positions"},
		{"an unknown precision", nil, func(o *Options) { o.Precision = "fp8" }, `precision "fp8" is none of [fp32`},
		{"the adapter of another base", tied.adapter, func(*Options) {}, "it belongs to another base"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := Options{Precision: FP32, Letters: g.letters}
			c.change(&o)
			out := filepath.Join(t.TempDir(), "ranker.onnx")
			err := Export(t.Context(), g.ck, c.adapter, out, o)
			if err == nil || !fail.IsUsage(err) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want a usage error with %q", err, c.want)
			}
			if _, err := os.Stat(out); err == nil {
				t.Error("a file was left behind")
			}
		})
	}
}

// broken is a checkpoint with one weight that is no number.
type broken struct {
	*Checkpoint
	tensor string
}

func (b broken) Float32(name string) ([]float32, []int64, error) {
	values, shape, err := b.Checkpoint.Float32(name)
	if name == b.tensor && err == nil {
		values[1] = float32(math.NaN())
	}
	return values, shape, err
}

func TestWeightsThatAreNoNumbersAreNamed(t *testing.T) {
	t.Parallel()
	g := openGolden(t, "qwen2")
	for _, name := range []string{
		"model.layers.0.mlp.down_proj.weight", "model.layers.1.self_attn.v_proj.bias", "model.layers.0.self_attn.k_proj.weight", finalNormName,
	} {
		for _, precision := range matrix.Precisions() {
			out := filepath.Join(t.TempDir(), "ranker.onnx")
			err := export(t.Context(), broken{g.ck, name}, nil, out, Options{Precision: precision, Letters: g.letters})
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
	g := openGolden(t, "llama")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	out := filepath.Join(t.TempDir(), "ranker.onnx")
	if err := Export(ctx, g.ck, nil, out, Options{Precision: FP32, Letters: g.letters}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestExportIsReproducible(t *testing.T) {
	t.Parallel()
	g := openGolden(t, "llama")
	for _, precision := range matrix.Precisions() {
		var files [2][]byte
		for i := range files {
			out := filepath.Join(t.TempDir(), "ranker.onnx")
			if err := Export(t.Context(), g.ck, g.adapter, out, Options{Precision: precision, Letters: g.letters}); err != nil {
				t.Fatal(err)
			}
			files[i] = testkit.Must(os.ReadFile(out))(t)
		}
		if !bytes.Equal(files[0], files[1]) {
			t.Errorf("%s: two exports differ", precision)
		}
	}
}

func TestMetadataTellWhatTheRankerIs(t *testing.T) {
	t.Parallel()
	g := openGolden(t, "qwen3")
	o := Options{Precision: FP32, Letters: g.letters[:3], Prefix: []int32{1, 5, 9}, MaxLength: 99, Template: "t1", Tokenizer: "k1"}
	got := exported(t, g.ck, g.adapter, o).Model().Metadata
	for key, want := range map[string]string{
		"format": "1", "kind": "ranker", "architecture": "qwen3", "precision": "fp32", "max_length": "99", "vocabulary": "64", "layers": "2",
		"kv_heads": "2", "head_size": "16", "letters": tokens(g.letters[:3]), "prefix": "1 5 9", "template": "t1", "tokenizer": "k1",
		"base": g.ck.Fingerprint(), "adapter": g.adapter.fingerprint(),
	} {
		if got["mllm4rec."+key] != want {
			t.Errorf("%s is %q, want %q", key, got["mllm4rec."+key], want)
		}
	}
}
