package llama

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"mllm4rec/export/weights"
	"mllm4rec/internal/gguf/gguftest"
	"mllm4rec/internal/testkit"
)

// FuzzConfig: whatever a config.json holds, it is refused or a model of sane sizes.
func FuzzConfig(f *testing.F) {
	for _, change := range []object{
		nil, {"model_type": "qwen3", "layer_types": []string{"full_attention", "full_attention"}, "eos_token_id": []int{1, 2}},
		{"model_type": "mistral", "sliding_window": nil}, {"rope_scaling": object{"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4}},
	} {
		f.Add(testkit.Must(json.Marshal(settings(change)))(f))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "config.json")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := readConfig(path)
		if err != nil {
			return
		}
		if err := c.check(); err != nil {
			t.Fatal(err)
		}
		for _, angle := range c.InverseFrequencies() {
			if !(angle >= 0) || math.IsInf(angle, 0) {
				t.Fatalf("%+v turns by %v", c, angle)
			}
		}
	})
}

// FuzzGGUF: whatever a GGUF file's metadata and tensor table say, it is refused or all of its tensors can be read.
func FuzzGGUF(f *testing.F) {
	row := make([]float32, 2)
	metadata := []any{
		"general.architecture", "llama", "llama.embedding_length", uint32(2), "llama.block_count", uint32(1), "llama.attention.head_count", uint32(1),
		"llama.feed_forward_length", uint32(2), "llama.context_length", uint32(8), "llama.attention.layer_norm_rms_epsilon", float32(1e-5),
	}
	var tensors []gguftest.Tensor
	c := Config{VocabSize: 2, Hidden: 2, Layers: 1, Heads: 1, KVHeads: 1, HeadDim: 2, Intermediate: 2, TieEmbeddings: true}
	for _, want := range c.expect() {
		values := row
		if len(want.shape) == 2 {
			values = make([]float32, 4)
		}
		tensors = append(tensors, gguftest.F32(want.gguf, want.shape, values))
	}
	f.Add(gguftest.Bytes(metadata, tensors))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "x.gguf")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		ck, err := Open(path)
		if err != nil {
			return
		}
		defer ck.Close()
		for _, name := range ck.Names() {
			if _, _, err := ck.Float32(name); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// FuzzAdapter: whatever an adapter's folder holds, it is refused or comes back after it was written again.
func FuzzAdapter(f *testing.F) {
	dir := f.TempDir()
	pair := Pair{Rank: 1, In: 2, Out: 2, A: []float32{1, 2}, B: []float32{3, 4}}
	a := &Adapter{Rank: 1, Alpha: 2, Pairs: map[string]Pair{"model.layers.0.self_attn.q_proj": pair}}
	if err := a.Write(dir, "base", weights.F32); err != nil {
		f.Fatal(err)
	}
	f.Add(testkit.Must(os.ReadFile(filepath.Join(dir, adapterSettings)))(f), testkit.Must(os.ReadFile(filepath.Join(dir, adapterWeights)))(f))
	f.Fuzz(func(t *testing.T, config, tensors []byte) {
		dir := t.TempDir()
		for name, data := range map[string][]byte{adapterSettings: config, adapterWeights: tensors} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		a, err := ReadAdapter(dir)
		if err != nil {
			return
		}
		again := t.TempDir()
		if err := a.Write(again, "base", weights.F32); err != nil {
			t.Fatal(err)
		}
		b, err := ReadAdapter(again)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := b.fingerprint(), a.fingerprint(); got != want || !reflect.DeepEqual(b.Metadata, a.Metadata) {
			t.Fatalf("read %+v, wrote %+v", b, a)
		}
	})
}
