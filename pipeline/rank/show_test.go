package rank_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mllm4rec/data/prompt"
	"mllm4rec/data/table"
	"mllm4rec/export/llama/llamatest"
	"mllm4rec/internal/fail"
	"mllm4rec/pipeline/rank"
)

func showOptions(t *testing.T) rank.ShowOptions {
	t.Helper()
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	o := rank.ShowOptions{
		Options: rank.Options{Sequences: path("sequences.parquet"), Candidates: path("candidates.parquet"), Model: rank.ModelOptions{
			Tokenizer: path("lm"), Template: "general", Limits: prompt.Limits{History: 5, TextTokens: 20, PromptTokens: 500},
			Items: path("items.parquet"), Captions: path("captions.parquet"), Candidates: 4, Order: rank.OrderRetriever, Orders: 3,
		}},
		Users: path("users.parquet"), User: 7, Split: "val",
	}
	err := errors.Join(
		llamatest.Write(path("lm"), 1),
		table.WriteAll(o.Model.Items, []table.Item{{ItemID: 1, Title: "Soap"}, {ItemID: 2, Title: "Cream"}, {ItemID: 3, Title: "Brush"}}),
		table.WriteAll(o.Model.Captions, []table.Caption{{ItemID: 2, Caption: "a jar"}}),
		table.WriteAll(o.Users, []table.User{{UserID: 7, SourceID: "seven"}}),
		table.WriteAll(o.Sequences, []table.Sequence{{UserID: 7, Train: []int32{1}, Val: 2, Test: 3}}),
		table.WriteAll(o.Candidates, []table.Candidates{
			{UserID: 7, Split: "val", Label: 2, Items: []int32{3, 2}, Scores: []float32{2, 1}},
			{UserID: 7, Split: "test", Label: 3, Items: []int32{3, 9}, Scores: []float32{2, 1}}}))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestShowGivesThePromptOfASplitWithCaptions(t *testing.T) {
	t.Parallel()
	shown, err := rank.Show(showOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(shown.Prompt, "\n(1) Soap\n") || !strings.Contains(shown.Prompt, "\n(A) Brush (A)\n(B) Cream : a jar (B)\n") || strings.Contains(shown.Prompt, "(2)") {
		t.Error(shown.Prompt)
	}
	if shown.LabelLetter != "B" || shown.SourceID != "seven" || len(shown.Candidates) != 2 || shown.Candidates[1].Token != 'B' {
		t.Errorf("%+v", shown)
	}
}

func TestShowSaysWhatMakesATableThatIsNotThere(t *testing.T) {
	t.Parallel()
	for name, command := range map[string]string{"items": "prepare", "users": "prepare", "candidates": "candidates", "captions": "run --until caption"} {
		o := showOptions(t)
		if err := os.Remove(filepath.Join(filepath.Dir(o.Users), name+".parquet")); err != nil {
			t.Fatal(err)
		}
		want := name + ".parquet is not there: run `mllm4rec " + command + "` first"
		if _, err := rank.Show(o); err == nil || !strings.HasSuffix(err.Error(), want) || !fail.IsUsage(err) {
			t.Errorf("%v; want %s", err, want)
		}
	}
}

func TestShowSaysWhenTablesAreOfDifferentRuns(t *testing.T) {
	t.Parallel()
	o := showOptions(t)
	o.Split = "test"
	if _, err := rank.Show(o); err == nil || !strings.Contains(err.Error(), "user 7 has item 9") || !fail.IsUsage(err) {
		t.Errorf("%v", err)
	}
}
