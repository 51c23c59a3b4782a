package rank_test

import (
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"mllm4rec/export/llama"
	"mllm4rec/export/llama/llamatest"
	"mllm4rec/runtime/ort"
	"mllm4rec/runtime/ort/orttest"
	"mllm4rec/runtime/rank"
)

// The tiny ranker is llamatest's model, cut to prompts of so many tokens.
const tinyVocabulary, tinyLong = 258, 900

// tinyPrefix is what prompts begin with.
var tinyPrefix = []int32{1, 40, 41, 42, 43, 44, 45}

// tinyFile writes the ranker.
func tinyFile(t testing.TB, o llama.Options) string {
	t.Helper()
	dir := t.TempDir()
	if err := llamatest.Write(dir, 5); err != nil {
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
