package evaluate_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"mllm4rec/data/metric"
	"mllm4rec/data/table"
	"mllm4rec/pipeline/evaluate"
	"mllm4rec/runtime/ort/orttest"
)

// users makes sequences over the 30 items of the tiny retriever: some longer than it looks at, some whose answer they had
// before, so that nobody can hit it.
func users() []table.Sequence {
	rows := make([]table.Sequence, 200)
	for u := range rows {
		train := make([]int32, 1+u%15)
		for i := range train {
			train[i] = int32(1 + (u*u*7+i*i+u%3)%30)
		}
		rows[u] = table.Sequence{UserID: int32(u + 1), Train: train, Val: int32(1 + (u*11)%30), Test: int32(1 + (u*17+4)%30)}
	}
	return rows
}

func run(t *testing.T, rows []table.Sequence) (evaluate.Options, []table.Metric) {
	t.Helper()
	dir := t.TempDir()
	o := evaluate.Options{Sequences: filepath.Join(dir, "sequences.parquet"), Out: dir, Candidates: 20}
	o.Model, o.ORT = orttest.OpenTiny(t).Path, orttest.Options(t)
	if err := table.WriteAll(o.Sequences, rows); err != nil {
		t.Fatal(err)
	}
	got, err := evaluate.Run(t.Context(), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	return o, got
}

// fullRanking measures the naive way: all scores of every user, sorted out at the end.
func fullRanking(rows []table.Sequence, test bool, scores func(history []int32) []float64) (mean, retrieved metric.Mean, shown map[int]map[int]bool) {
	shown = map[int]map[int]bool{10: {}, 20: {}}
	for _, row := range rows {
		history, label := row.Train, row.Val
		if test {
			history, label = append(slices.Clone(row.Train), row.Val), row.Test
		}
		all := scores(history)
		rankOf := func(item int) (rank int) {
			if math.IsInf(all[item], -1) {
				return metric.Missing
			}
			rank = 1
			for other, s := range all {
				if s > all[item] || s == all[item] && other < item {
					rank++
				}
			}
			return rank
		}
		rank := rankOf(int(label))
		mean.Add(rank)
		if rank != metric.Missing && rank <= 20 {
			retrieved.Add(rank)
		}
		for item := 1; item < len(all); item++ {
			for k := range shown {
				if r := rankOf(item); r != metric.Missing && r <= k {
					shown[k][item] = true
				}
			}
		}
	}
	return mean, retrieved, shown
}

func TestMetricsEqualThoseOfFullRankings(t *testing.T) {
	t.Parallel()
	rows, tiny := users(), orttest.OpenTiny(t)
	_, got := run(t, rows)
	counts := make([]float64, tiny.Items+1)
	for _, row := range rows {
		for _, item := range row.Train {
			counts[item]++
		}
	}
	popular := func(history []int32) []float64 {
		scores := slices.Clone(counts)
		for _, item := range append(slices.Clone(history), 0) {
			scores[item] = math.Inf(-1)
		}
		return scores
	}
	for _, split := range []string{"val", "test"} {
		for model, scores := range map[string]func([]int32) []float64{evaluate.Retriever: tiny.Scores, evaluate.Popularity: popular} {
			mean, retrieved, shown := fullRanking(rows, split == "test", scores)
			compare(t, got, model, split, evaluate.All, mean.Values())
			for k, items := range shown {
				compare(t, got, model, split, evaluate.All, []metric.Value{{Metric: metric.Coverage, K: k, Value: float64(len(items)) / float64(tiny.Items)}})
			}
			if model == evaluate.Retriever {
				compare(t, got, model, split, evaluate.Retrieved, retrieved.Values())
			}
		}
	}
}

// compare looks for the wanted values among the rows. Sums in another order differ in their last bits.
func compare(t *testing.T, rows []table.Metric, model, split, subset string, want []metric.Value) {
	t.Helper()
	for _, w := range want {
		at := slices.IndexFunc(rows, func(m table.Metric) bool {
			return m.Model == model && m.Split == split && m.Subset == subset && m.Metric == w.Metric && int(m.K) == w.K
		})
		if at < 0 {
			t.Errorf("no row %s %s %s %s@%d", model, split, subset, w.Metric, w.K)
		} else if math.Abs(rows[at].Value-w.Value) > 1e-9 {
			t.Errorf("%s %s %s %s@%d is %v, want %v", model, split, subset, w.Metric, w.K, rows[at].Value, w.Value)
		}
	}
}

func TestRandomIsItsExpectation(t *testing.T) {
	t.Parallel()
	rows := users()
	_, got := run(t, rows)
	var mean metric.Mean
	shown := map[int]float64{10: 0, 20: 0}
	for item := int32(1); item <= 30; item++ {
		for k := range shown {
			nobody := 1.0
			for _, row := range rows {
				if !slices.Contains(row.Train, item) {
					nobody *= 1 - min(1, float64(k)/float64(30-distinct(row.Train)))
				}
			}
			shown[k] += (1 - nobody) / 30
		}
	}
	for _, row := range rows {
		if slices.Contains(row.Train, row.Val) {
			mean.Add(metric.Missing)
		} else {
			mean.AddUniform(30 - distinct(row.Train))
		}
	}
	compare(t, got, evaluate.Random, "val", evaluate.All, mean.Values())
	for k, share := range shown {
		compare(t, got, evaluate.Random, "val", evaluate.All, []metric.Value{{Metric: metric.Coverage, K: k, Value: share}})
	}
}

func distinct(items []int32) int {
	sorted := slices.Sorted(slices.Values(items))
	return len(slices.Compact(sorted))
}

func TestFilesHoldWhatRunReturns(t *testing.T) {
	t.Parallel()
	o, want := run(t, users())
	parquet, err := table.ReadAll[table.Metric](filepath.Join(o.Out, evaluate.ParquetFile))
	if err != nil || !reflect.DeepEqual(parquet, want) {
		t.Errorf("%s holds other rows, or %v", evaluate.ParquetFile, err)
	}
	raw, err := os.ReadFile(filepath.Join(o.Out, evaluate.JSONFile))
	if err != nil {
		t.Fatal(err)
	}
	var fromJSON []table.Metric
	if err := json.Unmarshal(raw, &fromJSON); err != nil || !reflect.DeepEqual(fromJSON, want) {
		t.Errorf("%s holds other rows, or %v", evaluate.JSONFile, err)
	}
}

func TestPrint(t *testing.T) {
	t.Parallel()
	rows := []table.Metric{
		{Model: "retriever", Split: "test", Subset: "all", Metric: "recall", K: 10, Value: 0.12345},
		{Model: "random", Split: "test", Subset: "all", Metric: "recall", K: 10, Value: 0.01},
		{Model: "retriever", Split: "test", Subset: "retrieved", Metric: "recall", K: 10, Value: 0.5},
		{Model: "retriever", Split: "test", Subset: "all", Metric: "coverage", K: 10, Value: 0.25},
	}
	var out strings.Builder
	if err := evaluate.Print(&out, rows); err != nil {
		t.Fatal(err)
	}
	want := `test, all users
               retriever  random
    recall@10     0.1235  0.0100
  coverage@10     0.2500        
test, retrieved users
             retriever
  recall@10     0.5000
`
	if out.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", out.String(), want)
	}
}
