package rank_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"

	"mllm4rec/export/llama"
	"mllm4rec/export/llama/llamatest"
	"mllm4rec/runtime/ort"
	"mllm4rec/runtime/rank"
)

// tinyRanker makes a ranker.onnx as a run does, of a language model that knows nothing.
func tinyRanker(dir string) string {
	if err := llamatest.Write(dir, 5); err != nil {
		log.Fatal(err)
	}
	base, err := llama.Open(dir)
	if err != nil {
		log.Fatal(err)
	}
	defer base.Close()
	path := filepath.Join(dir, "ranker.onnx")
	if err := llama.Export(context.Background(), base, nil, path, withPrefix); err != nil {
		log.Fatal(err)
	}
	return path
}

// library is where ONNX Runtime lies; in a program beside whose binary it lies, Options.Library may be empty.
func library() string {
	if path := os.Getenv(ort.LibraryVariable); path != "" {
		return path
	}
	return "../../.deps/onnxruntime/capi"
}

// A ranker.onnx that a run exported scores the candidates of a prompt, as tokens. Package prompt of data makes tokens of titles
// (Builder.Build); package recommend of pipeline opens a whole run folder, with tables and titles.
func Example() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	model, err := rank.Open(tinyRanker(dir), ort.Options{Library: library(), Threads: 2})
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	model.Keep(64 << 20) // bytes, for the histories of users who return

	history := slices.Concat(tinyPrefix, []int32{70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83, 84, 85, 86, 87})
	prompts := []rank.Prompt{
		{Tokens: slices.Concat(history, []int32{90, 91, 92}), Shared: len(history)},
		{Tokens: slices.Concat(history, []int32{93, 94}), Shared: len(history)},
	}
	scores, err := model.Score(context.Background(), prompts)
	if err != nil {
		log.Fatal(err)
	}
	for _, logits := range scores {
		fmt.Printf("%d candidates, the best is the one at letter %d\n", len(logits), slices.Index(logits, slices.Max(logits)))
	}
	// Output:
	// 5 candidates, the best is the one at letter 4
	// 5 candidates, the best is the one at letter 2
}
