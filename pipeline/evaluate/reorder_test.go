package evaluate_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mllm4rec/data/table"
	"mllm4rec/pipeline/evaluate"
	"mllm4rec/pipeline/retrieve"
)

// candidatesOf are what the tiny retriever proposes.
func candidatesOf(t *testing.T, o evaluate.Options) []table.Candidates {
	t.Helper()
	path := filepath.Join(o.Out, "candidates.parquet")
	if _, err := retrieve.Run(t.Context(), retrieve.Options{Sequences: o.Sequences, Model: o.Model, Out: path, K: o.Candidates, ORT: o.ORT}, nil); err != nil {
		t.Fatal(err)
	}
	rows, err := table.ReadAll[table.Candidates](path)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// rankings turns every list around with order, and leaves out the users for whom that is nil.
func rankings(t *testing.T, o evaluate.Options, order func(c table.Candidates) []int32) string {
	t.Helper()
	var rows []table.Ranking
	for _, c := range candidatesOf(t, o) {
		if items := order(c); items != nil {
			rows = append(rows, table.Ranking{UserID: c.UserID, Split: c.Split, Label: c.Label, Items: items, Scores: make([]float32, len(items))})
		}
	}
	path := filepath.Join(o.Out, "rankings.parquet")
	if err := table.WriteAll(path, rows); err != nil {
		t.Fatal(err)
	}
	return path
}

func value(rows []table.Metric, model, split, subset, metric string, k int32) float64 {
	for _, r := range rows {
		if r.Model == model && r.Split == split && r.Subset == subset && r.Metric == metric && r.K == k {
			return r.Value
		}
	}
	return -1
}

// labelFirst is a ranker that knows the answer.
func labelFirst(c table.Candidates) []int32 {
	items := slices.Clone(c.Items)
	if at := slices.Index(items, c.Label); at >= 0 {
		items[0], items[at] = items[at], items[0]
	}
	return items
}

func TestPerfectRankerReachesTheRetrieversRecall(t *testing.T) {
	t.Parallel()
	o, before := run(t, users())
	o.Rankings = rankings(t, o, labelFirst)
	rows, err := evaluate.Run(t.Context(), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, split := range []string{"val", "test"} {
		reach := value(before, evaluate.Retriever, split, evaluate.All, "recall", 20)
		for _, c := range []struct {
			subset, metric string
			k              int32
			want           float64
		}{
			{evaluate.All, "ndcg", 1, reach}, {evaluate.All, "recall", 1, reach}, {evaluate.All, "recall", 20, reach},
			{evaluate.All, "recall", 50, value(before, evaluate.Retriever, split, evaluate.All, "recall", 50)},
			{evaluate.Retrieved, "ndcg", 10, 1},
		} {
			if got := value(rows, evaluate.Ranker, split, c.subset, c.metric, c.k); got != c.want {
				t.Errorf("%s, %s: %s@%d is %v, want %v", split, c.subset, c.metric, c.k, got, c.want)
			}
		}
		for _, m := range before { // the ranker changes nobody else's figures
			if m.Split == split && value(rows, m.Model, split, m.Subset, m.Metric, m.K) != m.Value {
				t.Errorf("%s %s@%d of %s has changed", split, m.Metric, m.K, m.Model)
			}
		}
	}
}

func TestUsersWithoutARankingKeepTheRetrieversOrder(t *testing.T) {
	t.Parallel()
	o, before := run(t, users())
	o.Fused = rankings(t, o, func(c table.Candidates) []int32 {
		if c.Split == "val" {
			return nil
		}
		return slices.Clone(c.Items)
	})
	rows, err := evaluate.Run(t.Context(), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range before {
		if m.Model == evaluate.Retriever && value(rows, evaluate.Fusion, m.Split, m.Subset, m.Metric, m.K) != m.Value {
			t.Errorf("%s, %s: %s@%d differs from the retriever's", m.Split, m.Subset, m.Metric, m.K)
		}
	}
}

func TestRankingsOfOtherCandidatesAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(c table.Candidates) []int32
		want   string
	}{
		{"another item", func(c table.Candidates) []int32 { return append(c.Items[1:], 1_000) }, "other items than the retriever proposes"},
		{"an item too few", func(c table.Candidates) []int32 { return c.Items[1:] }, "items, and the retriever proposes"},
		{"an item twice", func(c table.Candidates) []int32 { return append(c.Items[1:], c.Items[1]) }, "other items than the retriever proposes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o, _ := run(t, users())
			o.Rankings = rankings(t, o, c.change)
			if _, err := evaluate.Run(t.Context(), o, nil); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "rankings.parquet: user 1, val") {
				t.Errorf("%v, want %q and the user", err, c.want)
			}
		})
	}
	t.Run("users of another table", func(t *testing.T) {
		t.Parallel()
		o, _ := run(t, users())
		o.Rankings = rankings(t, o, labelFirst)
		if err := table.WriteAll(o.Sequences, users()[:100]); err != nil {
			t.Fatal(err)
		}
		if _, err := evaluate.Run(t.Context(), o, nil); err == nil || !strings.Contains(err.Error(), "user 101, val, is none of the users") {
			t.Error(err)
		}
	})
}
