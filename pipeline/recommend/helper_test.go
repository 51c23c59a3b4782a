package recommend_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"mllm4rec/data/prompt"
	"mllm4rec/data/table"
	"mllm4rec/export/llama"
	"mllm4rec/export/llama/llamatest"
	"mllm4rec/pipeline/rank"
	"mllm4rec/pipeline/recommend"
	"mllm4rec/runtime/ort/orttest"
	"mllm4rec/runtime/serve"
)

// items is the catalogue of the tiny retriever; letters is how many candidates the tiny language model ranks.
const items, letters, users = 30, 4, 12

// newRun makes a run folder with a retriever and nothing more.
func newRun(t testing.TB) recommend.Options {
	t.Helper()
	o := recommend.Options{Dir: t.TempDir(), Name: "tiny", K: letters, Captions: true, Pictures: true, ORT: orttest.Options(t)}
	o.ORT.Threads = 2
	var catalogue []table.Item
	for i := range items {
		row := table.Item{ItemID: int32(i + 1), SourceID: fmt.Sprintf("i%d", i+1), Title: fmt.Sprintf("Film %c %d", 'a'+i%26, i+1)}
		if row.Categories = []string{"Drama"}; i%5 == 0 {
			row.Categories = []string{"Comedy", "Drama"}
		}
		if i == 28 {
			row.Categories = []string{"Horror"}
		}
		catalogue = append(catalogue, row)
	}
	var people []table.User
	var sequences []table.Sequence
	for u := range int32(users) {
		people = append(people, table.User{UserID: u + 1, SourceID: fmt.Sprintf("u%d", u+1)})
		s := table.Sequence{UserID: u + 1, Val: 1 + (u+3)%items, Test: 1 + (u+5)%items}
		for i := range 1 + u {
			s.Train = append(s.Train, 1+i%items)
		}
		sequences = append(sequences, s)
	}
	model, err := os.ReadFile(orttest.OpenTiny(t).Path)
	err = errors.Join(err, os.WriteFile(filepath.Join(o.Dir, "retriever.onnx"), model, 0o600), table.WriteAll(filepath.Join(o.Dir, "items.parquet"), catalogue),
		table.WriteAll(filepath.Join(o.Dir, "users.parquet"), people), table.WriteAll(filepath.Join(o.Dir, "sequences.parquet"), sequences))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// withRanker adds a language model that knows nothing, and a fusion of equal parts.
func withRanker(t testing.TB, o recommend.Options) recommend.Options {
	t.Helper()
	o.Ranker = &rank.ModelOptions{
		File: filepath.Join(o.Dir, "ranker.onnx"), Tokenizer: filepath.Join(o.Dir, "lm"), Template: "movies", Items: filepath.Join(o.Dir, "items.parquet"),
		Captions: filepath.Join(o.Dir, "captions.parquet"), Limits: prompt.Limits{History: 6, TextTokens: 12, PromptTokens: 500},
		Candidates: letters, Order: rank.OrderRetriever, Orders: 1, ORT: o.ORT,
	}
	if err := llamatest.Write(o.Ranker.Tokenizer, 1); err != nil {
		t.Fatal(err)
	}
	base, err := llama.Open(o.Ranker.Tokenizer)
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	options, err := rank.ExportOptions(*o.Ranker)
	if err != nil {
		t.Fatal(err)
	}
	options.Precision = llama.FP32
	fusion := []byte(`{"retriever_weight": 0.5, "fitted_on": 3}`)
	if err := errors.Join(llama.Export(t.Context(), base, nil, o.Ranker.File, options), os.WriteFile(filepath.Join(o.Dir, rank.FusionFile), fusion, 0o600)); err != nil {
		t.Fatal(err)
	}
	return o
}

func open(t testing.TB, o recommend.Options) *recommend.Backend {
	t.Helper()
	b, err := recommend.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// ids are references by item_id.
func ids(all ...int32) []serve.Ref {
	refs := []serve.Ref{}
	for _, id := range all {
		refs = append(refs, serve.Ref{ID: id})
	}
	return refs
}

func history(all ...int32) *[]serve.Ref {
	refs := ids(all...)
	return &refs
}

// itemsOf are the items of an answer, in order.
func itemsOf(r *serve.Ranking) []int32 {
	all := []int32{}
	for i, item := range r.Items {
		if item.Rank != i+1 {
			all = append(all, -1)
		}
		all = append(all, item.ItemID)
	}
	return all
}

// byRetriever is the order that the tiny retriever should give, of what is allowed.
func byRetriever(t testing.TB, past []int32, allowed func(item int32) bool) []int32 {
	t.Helper()
	scores := orttest.OpenTiny(t).Scores(past)
	var all []int32
	for item := int32(1); item <= items; item++ {
		if !slices.Contains(past, item) && allowed(item) {
			all = append(all, item)
		}
	}
	slices.SortFunc(all, func(a, b int32) int {
		if scores[a] > scores[b] {
			return -1
		}
		return 1
	})
	return all
}

func all(int32) bool { return true }

// wantProblem checks what a client is told.
func wantProblem(t testing.TB, err error, status int, code, field, detail string) {
	t.Helper()
	var e *serve.Error
	if !errors.As(err, &e) {
		t.Errorf("error %v, want %d %s", err, status, code)
		return
	}
	if e.Status != status || e.Code != code || e.Field != field || !contains(e.Detail, detail) {
		t.Errorf("%d %s %q: %s; want %d %s %q: …%s…", e.Status, e.Code, e.Field, e.Detail, status, code, field, detail)
	}
}
