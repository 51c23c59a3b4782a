package rank_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"mllm4rec/data/prompt"
	"mllm4rec/data/table"
	"mllm4rec/export/llama"
	"mllm4rec/export/llama/llamatest"
	"mllm4rec/pipeline/rank"
	"mllm4rec/runtime/ort/orttest"
)

// users is more than fit into one part, on two splits.
const users = 150

// newRun makes the tables of a small run and a ranker that knows nothing.
func newRun(t *testing.T) rank.Options {
	t.Helper()
	ortOptions := orttest.Options(t)
	dir := t.TempDir()
	o := rank.Options{
		Sequences: filepath.Join(dir, "sequences.parquet"), Candidates: filepath.Join(dir, "candidates.parquet"), Out: filepath.Join(dir, "out"),
		Model: rank.ModelOptions{
			File: filepath.Join(dir, "ranker.onnx"), Tokenizer: filepath.Join(dir, "model"), Template: "movies", Items: filepath.Join(dir, "items.parquet"),
			Limits: prompt.Limits{History: 2, TextTokens: 12, PromptTokens: 400}, Candidates: 4, Order: rank.OrderRetriever, Orders: 1, Seed: 3,
			ORT: ortOptions,
		},
	}
	var items []table.Item
	for i := range 30 {
		items = append(items, table.Item{ItemID: int32(i + 1), SourceID: fmt.Sprint(i), Title: fmt.Sprintf("Film %c%d", 'a'+i%26, i)})
	}
	var sequences []table.Sequence
	var candidates []table.Candidates
	for u := range int32(users) {
		s := table.Sequence{UserID: u + 1, Train: []int32{1 + u%30, 1 + (u+7)%30}, Val: 1 + (u+3)%30, Test: 1 + (u+5)%30}
		sequences = append(sequences, s)
		for _, c := range []table.Candidates{{UserID: s.UserID, Split: "val", Label: s.Val}, {UserID: s.UserID, Split: "test", Label: s.Test}} {
			c.Items, c.Scores = []int32{1 + (u+11)%30, 1 + (u+12)%30, 1 + (u+13)%30, c.Label}, []float32{4, 3, 2, 1}
			if u%3 == 0 {
				c.Items[3] = 1 + (u+14)%30
			}
			candidates = append(candidates, c)
		}
	}
	err := errors.Join(table.WriteAll(o.Model.Items, items), table.WriteAll(o.Sequences, sequences), table.WriteAll(o.Candidates, candidates))
	if err != nil {
		t.Fatal(err)
	}
	export(t, o.Model, llama.FP32)
	return o
}

func export(t *testing.T, o rank.ModelOptions, precision llama.Precision) {
	t.Helper()
	if err := llamatest.Write(o.Tokenizer, 1); err != nil {
		t.Fatal(err)
	}
	base, err := llama.Open(o.Tokenizer)
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	if err := rank.CheckPrompts(o, base); err != nil {
		t.Fatal(err)
	}
	options, err := rank.ExportOptions(o)
	if err != nil {
		t.Fatal(err)
	}
	options.Precision = precision
	if err := llama.Export(t.Context(), base, nil, o.File, options); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, o rank.Options, name string) []table.Ranking {
	t.Helper()
	rows, err := table.ReadAll[table.Ranking](filepath.Join(o.Out, name))
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestRanksEveryTestListAndTheValidationListsThatHoldTheirAnswer(t *testing.T) {
	t.Parallel()
	o := newRun(t)
	stats, err := rank.Run(t.Context(), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	rows := read(t, o, rank.RankingsFile)
	if want := users + users*2/3; len(rows) != want || stats.Lists != int64(want) || stats.Resumed != 0 || stats.Fusion.FittedOn != users*2/3 {
		t.Errorf("%d rows and %+v, want %d", len(rows), stats, want)
	}
	candidates, err := table.ReadAll[table.Candidates](o.Candidates)
	if err != nil {
		t.Fatal(err)
	}
	lists := map[string][]int32{}
	for _, c := range candidates {
		lists[fmt.Sprint(c.UserID, c.Split)] = c.Items
	}
	moved := 0
	for _, r := range rows {
		list, sum := lists[fmt.Sprint(r.UserID, r.Split)], 0.0
		if !slices.Equal(slices.Sorted(slices.Values(r.Items)), slices.Sorted(slices.Values(list))) {
			t.Fatalf("user %d, %s: %v of %v", r.UserID, r.Split, r.Items, list)
		}
		for i, s := range r.Scores {
			if sum += math.Exp(float64(s)); i > 0 && s > r.Scores[i-1] {
				t.Fatalf("user %d: scores %v do not fall", r.UserID, r.Scores)
			}
		}
		if math.Abs(sum-1) > 1e-5 {
			t.Fatalf("user %d: probabilities %v sum up to %v", r.UserID, r.Scores, sum)
		}
		if !slices.Equal(r.Items, list) {
			moved++
		}
	}
	if moved < len(rows)/2 {
		t.Errorf("%d lists of %d came out in another order: does the model read the prompt?", moved, len(rows))
	}
	fused := read(t, o, rank.FusedFile)
	f, err := rank.ReadFusion(filepath.Join(o.Out, rank.FusionFile))
	if err != nil || f != stats.Fusion || len(fused) != len(rows) {
		t.Errorf("%+v, %v, %d rows", f, err, len(fused))
	}
	if _, err := os.Stat(filepath.Join(o.Out, rank.PartsFolder)); !errors.Is(err, os.ErrNotExist) {
		t.Error("the parts are left:", err)
	}
}

func TestARunThatWasStoppedGivesTheSameBytes(t *testing.T) {
	t.Parallel()
	o := newRun(t)
	if _, err := rank.Run(t.Context(), o, nil); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(o.Out, rank.FusedFile))
	if err != nil {
		t.Fatal(err)
	}
	o.Out = filepath.Join(t.TempDir(), "stopped")
	ctx, cancel := context.WithCancel(t.Context())
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		for ctx.Err() == nil { // stops when the first part is there
			if parts, _ := filepath.Glob(filepath.Join(o.Out, rank.PartsFolder, "part-*")); len(parts) > 0 {
				cancel()
			}
		}
	}()
	_, err = rank.Run(ctx, o, nil)
	cancel()
	<-stop
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	stats, err := rank.Run(t.Context(), o, nil)
	if err != nil || stats.Resumed == 0 {
		t.Fatalf("resumed %d lists, %v", stats.Resumed, err)
	}
	again, err := os.ReadFile(filepath.Join(o.Out, rank.FusedFile))
	if err != nil || !reflect.DeepEqual(again, whole) {
		t.Errorf("%d bytes after the interruption, %d without, %v", len(again), len(whole), err)
	}
}

// TestRankingMayEndWhilePromptsAreMade is for the race detector: prompts are made and counted beside the model's work.
func TestRankingMayEndWhilePromptsAreMade(t *testing.T) {
	t.Parallel()
	model, err := rank.Open(newRun(t).Model)
	if err != nil {
		t.Fatal(err)
	}
	defer model.Close()
	rows := slices.Repeat([]rank.Row{{History: []int32{5}, Candidates: table.Candidates{UserID: 1, Split: "test", Label: 4, Items: []int32{1, 2, 3, 4}}}}, 3000)
	for i := range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i+1)*2*time.Millisecond)
		if _, _, err := model.Rank(ctx, rows, func(int) {}); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		cancel()
	}
}

func TestAveragedOrdersDoNotDependOnTheOrderOfTheList(t *testing.T) {
	t.Parallel()
	o := newRun(t)
	o.Model.Orders = 24
	model, err := rank.Open(o.Model)
	if err != nil {
		t.Fatal(err)
	}
	defer model.Close()
	c := table.Candidates{UserID: 1, Split: "test", Label: 4, Items: []int32{1, 2, 3, 4}, Scores: []float32{4, 3, 2, 1}}
	turned := c
	turned.Items = []int32{4, 3, 2, 1}
	one := o.Model
	one.Orders = 1
	single, err := rank.Open(one)
	if err != nil {
		t.Fatal(err)
	}
	defer single.Close()
	apart := func(m *rank.Model) float64 {
		rows, _, err := m.Rank(t.Context(), []rank.Row{{History: []int32{5}, Candidates: c}, {History: []int32{5}, Candidates: turned}}, func(int) {})
		if err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for i, item := range rows[0].Items {
			sum += math.Abs(float64(rows[0].Scores[i] - rows[1].Scores[slices.Index(rows[1].Items, item)]))
		}
		return sum
	}
	if many, once := apart(model), apart(single); many > once/2 {
		t.Errorf("two orders of a list differ by %.3f nats averaged over 24 orders, by %.3f with one: nothing is averaged", many, once)
	}
}

func TestAModelThatWasExportedForOtherPromptsIsRefused(t *testing.T) {
	t.Parallel()
	o := newRun(t).Model
	other := filepath.Join(t.TempDir(), "other")
	if err := llamatest.Write(other, 1); err != nil {
		t.Fatal(err)
	}
	renamed := strings.Replace(readText(t, filepath.Join(other, "tokenizer.json")), "|pad|", "|gap|", 1)
	if err := os.WriteFile(filepath.Join(other, "tokenizer.json"), []byte(renamed), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*rank.ModelOptions)
		want   string
	}{
		"another template":         {func(o *rank.ModelOptions) { o.Template = "general" }, "ranker.template"},
		"another vocabulary":       {func(o *rank.ModelOptions) { o.Tokenizer = other }, "another vocabulary"},
		"more candidates":          {func(o *rank.ModelOptions) { o.Candidates = 5 }, "scores 4 letters"},
		"longer prompts":           {func(o *rank.ModelOptions) { o.Limits.PromptTokens = 500 }, "reads 400 tokens"},
		"more than the alphabet":   {func(o *rank.ModelOptions) { o.Candidates = 53 }, "53 candidates"},
		"no titles":                {func(o *rank.ModelOptions) { o.Items = "nowhere.parquet" }, "nowhere.parquet"},
		"no room for the question": {func(o *rank.ModelOptions) { o.Limits.PromptTokens = 20 }, "ranker.max_tokens"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changed := o
			c.change(&changed)
			if _, err := rank.Open(changed); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTablesOfAnotherRunAreRefused(t *testing.T) {
	t.Parallel()
	o := newRun(t)
	if err := table.WriteAll(o.Candidates, []table.Candidates{{UserID: 9999, Split: "test", Label: 1, Items: []int32{1}, Scores: []float32{1}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := rank.Run(t.Context(), o, nil); err == nil || !strings.Contains(err.Error(), "user 9999 is none of the sequences'") {
		t.Error(err)
	}
	if err := table.WriteAll(o.Candidates, []table.Candidates{{UserID: 1, Split: "test", Label: 1, Items: []int32{99}, Scores: []float32{1}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := rank.Run(t.Context(), o, nil); err == nil || !strings.Contains(err.Error(), "user 1 has item 99") {
		t.Error(err)
	}
}
