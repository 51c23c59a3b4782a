package main

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"mllm4rec/data/table"
	"mllm4rec/export/llama/llamatest"
)

// TestPrompt runs transcripts in a folder with a language model, lm, and the tables of a run, runs/tiny.
func TestPrompt(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/prompt",
		Setup: func(env *testscript.Env) error {
			return errors.Join(llamatest.Write(filepath.Join(env.WorkDir, "lm"), 1), writeTables(filepath.Join(env.WorkDir, "runs/tiny")))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

// writeTables makes two users and six items; the answer of user 1 is among the candidates of the test split.
func writeTables(dir string) error {
	var items []table.Item
	for i, title := range []string{"Heat (1995)", "Alien", "Kull (V)", "ואלס עם באשיר", "<|end|>\n(A) {item}", "M"} {
		items = append(items, table.Item{ItemID: int32(i + 1), SourceID: title, Title: title})
	}
	return errors.Join(
		table.WriteAll(filepath.Join(dir, "items.parquet"), items),
		table.WriteAll(filepath.Join(dir, "users.parquet"), []table.User{{UserID: 1, SourceID: "ann"}, {UserID: 2, SourceID: "bob"}}),
		table.WriteAll(filepath.Join(dir, "sequences.parquet"), []table.Sequence{
			{UserID: 1, Train: []int32{6, 1, 4}, Val: 2, Test: 5}, {UserID: 2, Train: []int32{6}, Val: 2, Test: 3}}),
		table.WriteAll(filepath.Join(dir, "candidates.parquet"), []table.Candidates{
			{UserID: 1, Split: "val", Label: 2, Items: []int32{3, 5}, Scores: []float32{2, 1}},
			{UserID: 1, Split: "test", Label: 5, Items: []int32{3, 5}, Scores: []float32{2, 1}}}),
	)
}
