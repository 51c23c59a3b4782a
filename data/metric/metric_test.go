package metric_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"mllm4rec/data/metric"
)

type golden struct {
	Scores  [][]float32        `json:"scores"`
	Labels  []int              `json:"labels"`
	Metrics map[string]float64 `json:"metrics"`
}

func readGolden(t *testing.T) golden {
	t.Helper()
	raw, err := os.ReadFile("testdata/metrics.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// The golden was summed in float32, ours in float64: they meet within one unit in the last place of a float32 below one.
const float32ULP = 6e-8

func TestMetricsEqualTheReference(t *testing.T) {
	t.Parallel()
	g := readGolden(t)
	var mean metric.Mean
	for i, scores := range g.Scores {
		mean.Add(metric.Rank(scores, g.Labels[i]))
	}
	got := mean.Values()
	if len(got) != len(g.Metrics) || mean.Users() != int64(len(g.Scores)) {
		t.Fatalf("%d values over %d users, want %d over %d", len(got), mean.Users(), len(g.Metrics), len(g.Scores))
	}
	for name, want := range g.Metrics {
		if v := find(t, got, name); math.Abs(v-want) > float32ULP {
			t.Errorf("%s = %.12f, want %.12f", name, v, want)
		}
	}
}

func find(t *testing.T, values []metric.Value, name string) float64 {
	t.Helper()
	for _, v := range values {
		if strings.EqualFold(fmt.Sprintf("%s@%d", v.Metric, v.K), name) {
			return v.Value
		}
	}
	t.Fatalf("no %s", name)
	return 0
}

func TestTopListGivesTheMetricsOfTheFullRanking(t *testing.T) {
	t.Parallel()
	g := readGolden(t)
	var full, list metric.Mean
	for i, scores := range g.Scores {
		full.Add(metric.Rank(scores, g.Labels[i]))
		list.Add(metric.RankIn(topList(scores, 50), int32(g.Labels[i])))
	}
	if !slices.Equal(full.Values(), list.Values()) {
		t.Errorf("top-50 gives %v\nfull ranking gives %v", list.Values(), full.Values())
	}
}

func topList(scores []float32, k int) []int32 {
	list := make([]int32, len(scores))
	for i := range list {
		list[i] = int32(i)
	}
	slices.SortStableFunc(list, func(a, b int32) int {
		switch {
		case scores[a] > scores[b]:
			return -1
		case scores[a] < scores[b]:
			return 1
		}
		return 0
	})
	return list[:k]
}

func TestRank(t *testing.T) {
	t.Parallel()
	nan := float32(math.NaN())
	for _, c := range []struct {
		name   string
		scores []float32
		label  int
		want   int
	}{
		{"best", []float32{1, 3, 2}, 1, 1},
		{"worst", []float32{1, 3, 2}, 0, 3},
		{"the lower index wins a tie", []float32{2, 2, 2}, 0, 1},
		{"the higher index loses a tie", []float32{2, 2, 2}, 2, 3},
		{"NaN of others stands behind", []float32{nan, 1, nan}, 1, 1},
		{"NaN of its own is missing", []float32{nan, 1}, 0, metric.Missing},
		{"out of range is missing", []float32{1}, 1, metric.Missing},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := metric.Rank(c.scores, c.label); got != c.want {
				t.Errorf("rank %d, want %d", got, c.want)
			}
		})
	}
}

func TestUniformIsTheMeanOverAllRanks(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 3, 50, 120} {
		var expected, every metric.Mean
		expected.AddUniform(n)
		for rank := 1; rank <= n; rank++ {
			every.Add(rank)
		}
		for i, v := range expected.Values() {
			if math.Abs(v.Value-every.Values()[i].Value) > 1e-12 {
				t.Errorf("%d items: expected %v, mean over all ranks %v", n, v, every.Values()[i])
			}
		}
	}
}

func TestNobodyAndNothing(t *testing.T) {
	t.Parallel()
	var mean metric.Mean
	mean.AddUniform(0)
	mean.Add(metric.Missing)
	for _, v := range mean.Values() {
		if v.Value != 0 {
			t.Errorf("%v, want zero", v)
		}
	}
	if mean.Users() != 2 {
		t.Errorf("%d users, want 2", mean.Users())
	}
}

func TestCoverage(t *testing.T) {
	t.Parallel()
	seen := metric.NewSeen(130)
	seen.Add([]int32{1, 64, 65, 130, 130, 0, -3, 131})
	seen.Add([]int32{1, 2})
	if got, want := seen.Share(), 5.0/130; got != want {
		t.Errorf("share %v, want %v", got, want)
	}
	if got := metric.NewSeen(0).Share(); got != 0 {
		t.Errorf("share of an empty catalogue %v, want 0", got)
	}
}

func TestSureHitOfARandomOrderIsExactlyOne(t *testing.T) {
	t.Parallel()
	var m metric.Mean
	for n := 1; n <= 50; n++ {
		m.AddUniform(n)
	}
	for _, v := range m.Values() {
		if v.Metric == metric.Recall && v.K == 50 && v.Value != 1 {
			t.Errorf("recall@50 is %v", v.Value)
		}
	}
}
