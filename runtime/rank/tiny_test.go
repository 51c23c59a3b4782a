package rank_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"mllm4rec/export/llama"
	"mllm4rec/export/weights"
	"mllm4rec/runtime/ort"
	"mllm4rec/runtime/ort/orttest"
	"mllm4rec/runtime/rank"
)

// The tiny ranker: a Llama of random weights.
const (
	tinyVocabulary, tinyLong         = 64, 900
	tinyHidden, tinyHeads, tinyInner = 32, 2, 48
)

// tinyPrefix is what prompts begin with.
var tinyPrefix = []int32{1, 40, 41, 42, 43, 44, 45}

// tinyFile writes the ranker.
func tinyFile(t testing.TB, o llama.Options) string {
	t.Helper()
	dir, random := t.TempDir(), rand.New(rand.NewPCG(5, 6))
	var tensors []weights.Tensor
	add := func(name string, mean float32, shape ...int64) {
		values := make([]float32, shape[0]*slices.Concat(shape, []int64{1})[1])
		for i := range values {
			values[i] = mean + float32(random.NormFloat64())*0.15
		}
		tensors = append(tensors, weights.FromFloat32(name, shape, values))
	}
	add("model.embed_tokens.weight", 0, tinyVocabulary, tinyHidden)
	add("model.norm.weight", 1, tinyHidden)
	for i := range 2 {
		layer := fmt.Sprintf("model.layers.%d.", i)
		add(layer+"input_layernorm.weight", 1, tinyHidden)
		add(layer+"post_attention_layernorm.weight", 1, tinyHidden)
		add(layer+"self_attn.q_proj.weight", 0, tinyHidden, tinyHidden)
		add(layer+"self_attn.k_proj.weight", 0, tinyHidden/tinyHeads, tinyHidden)
		add(layer+"self_attn.v_proj.weight", 0, tinyHidden/tinyHeads, tinyHidden)
		add(layer+"self_attn.o_proj.weight", 0, tinyHidden, tinyHidden)
		add(layer+"mlp.gate_proj.weight", 0, tinyInner, tinyHidden)
		add(layer+"mlp.up_proj.weight", 0, tinyInner, tinyHidden)
		add(layer+"mlp.down_proj.weight", 0, tinyHidden, tinyInner)
	}
	if err := weights.Write(filepath.Join(dir, weights.SingleName), tensors, nil); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]any{
		"model_type": "llama", "vocab_size": tinyVocabulary, "hidden_size": tinyHidden, "num_hidden_layers": 2, "num_attention_heads": tinyHeads,
		"num_key_value_heads": 1, "intermediate_size": tinyInner, "max_position_embeddings": 1024, "tie_word_embeddings": true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	ck, err := llama.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	out := filepath.Join(dir, "ranker.onnx")
	if err := llama.Export(t.Context(), ck, nil, out, o); err != nil {
		t.Fatal(err)
	}
	return out
}

var (
	withPrefix    = llama.Options{Precision: llama.FP32, Letters: []int32{3, 9, 27, 33, 50}, Prefix: tinyPrefix, MaxLength: tinyLong}
	withoutPrefix = llama.Options{Precision: llama.FP32, Letters: []int32{3, 9, 27, 33, 50}, MaxLength: tinyLong}
)

// openTiny opens a ranker until the test ends; batch is 0, or the tokens of the batches that it works on as on a GPU.
func openTiny(t testing.TB, o llama.Options, threads, batch int) *rank.Ranker {
	t.Helper()
	options := orttest.Options(t)
	options.Threads = threads
	path := tinyFile(t, o)
	opened := rank.Open
	if batch > 0 {
		opened = func(path string, o ort.Options) (*rank.Ranker, error) { return rank.OpenInBatches(path, o, batch) }
	}
	r, err := opened(path, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// prompts are lists of several users: of each one the prefix, a history, and several candidate lists behind it; some begin
// with other tokens, some are shorter than the prefix.
func prompts(users int) []rank.Prompt {
	random := rand.New(rand.NewPCG(7, 8))
	words := func(n int) []int32 {
		all := make([]int32, n)
		for i := range all {
			all[i] = random.Int32N(tinyVocabulary)
		}
		return all
	}
	var all []rank.Prompt
	for user := range users {
		first := tinyPrefix
		if user%5 == 3 {
			first = words(len(tinyPrefix))
		}
		history := slices.Concat(first, words(user*37%180+user%6*100))
		for range 1 + user%4 {
			all = append(all, rank.Prompt{Tokens: slices.Concat(history, words(1+user*13%90))})
		}
		if user%7 == 0 {
			all = append(all, rank.Prompt{Tokens: tinyPrefix[:1+user%len(tinyPrefix)]}, all[len(all)-1])
		}
	}
	return all
}
