package retrieve_test

import (
	"context"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"mllm4rec/runtime/ort/orttest"
	"mllm4rec/runtime/retrieve"
)

// The tiny retriever has 30 items and looks at the newest 6.
const tinyItems, tinyLong = 30, 6

func open(t testing.TB, threads int) *retrieve.Retriever {
	t.Helper()
	options := orttest.Options(t)
	options.Threads = threads
	r, err := retrieve.Open(orttest.OpenTiny(t).Path, options)
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

func TestTopKIsTheBestOfTheWholeCatalogue(t *testing.T) {
	t.Parallel()
	r, tiny := open(t, 2), orttest.OpenTiny(t)
	history := rapid.SliceOfN(rapid.Int32Range(1, tinyItems), 1, 3*tinyLong)
	rapid.Check(t, func(t *rapid.T) {
		histories := rapid.SliceOfN(history, 1, 40).Draw(t, "histories")
		k := rapid.IntRange(1, tinyItems+5).Draw(t, "k")
		got, err := r.TopK(context.Background(), histories, k)
		if err != nil {
			t.Fatal(err)
		}
		for i, ranked := range got {
			checkRanked(t, ranked, tiny.Scores(histories[i]), k)
		}
	})
}

// checkRanked compares a list with the scores of all items, within what float32 and another order of summing allow.
func checkRanked(t *rapid.T, got retrieve.Ranked, scores []float64, k int) {
	t.Helper()
	want := slices.DeleteFunc(slices.Clone(scores), func(s float64) bool { return math.IsInf(s, -1) })
	slices.SortFunc(want, func(a, b float64) int {
		if a > b {
			return -1
		}
		return 1
	})
	want = want[:min(k, len(want))]
	if len(got.Items) != len(want) || len(got.Scores) != len(want) {
		t.Fatalf("%d items and %d scores, want %d", len(got.Items), len(got.Scores), len(want))
	}
	seen := map[int32]bool{}
	for i, item := range got.Items {
		if seen[item] {
			t.Fatalf("item %d twice in %v", item, got.Items)
		}
		seen[item] = true
		if math.Abs(float64(got.Scores[i])-want[i]) > 1e-4 || math.Abs(scores[item]-want[i]) > 1e-4 {
			t.Fatalf("place %d: item %d with %v, whose score is %v; the best there is %v", i, item, got.Scores[i], scores[item], want[i])
		}
	}
}

func TestWorkersAndOrderMakeNoDifference(t *testing.T) {
	t.Parallel()
	var histories [][]int32
	for i := range 500 {
		history := make([]int32, 1+i*7%20)
		for j := range history {
			history[j] = int32(1 + (i*13+j*5)%tinyItems)
		}
		histories = append(histories, history)
	}
	one, err := open(t, 1).TopK(t.Context(), histories, 5)
	if err != nil {
		t.Fatal(err)
	}
	r := open(t, 4)
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			four, err := r.TopK(context.Background(), histories, 5)
			if err != nil || !reflect.DeepEqual(one, four) {
				t.Errorf("four workers give other lists than one, or %v", err)
			}
		})
	}
	group.Wait()
	for i := range histories[:50] {
		alone, err := r.TopK(t.Context(), histories[i:i+1], 5)
		if err != nil || !slices.Equal(alone[0].Items, one[i].Items) {
			t.Errorf("history %d alone gives %v, %v, among others %v", i, alone, err, one[i])
		}
	}
}

func TestTopKRefuses(t *testing.T) {
	t.Parallel()
	r := open(t, 1)
	for _, c := range []struct {
		name      string
		histories [][]int32
		k         int
		want      string
	}{
		{"an empty history", [][]int32{{1}, {}}, 5, "history 1 is empty"},
		{"an item past the catalogue", [][]int32{{1, 31}}, 5, "history 0: item 31 at place 1 is not in 1…30"},
		{"padding as an item", [][]int32{{0, 1}}, 5, "item 0 at place 0"},
		{"a negative item", [][]int32{{-4}}, 5, "item -4 at place 0"},
		{"no items wanted", [][]int32{{1}}, 0, "k is 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got, err := r.TopK(t.Context(), c.histories, c.k); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, error %v, want %q", got, err, c.want)
			}
		})
	}
}

func TestNobodyGetsNothing(t *testing.T) {
	t.Parallel()
	if got, err := open(t, 2).TopK(t.Context(), nil, 5); len(got) != 0 || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestTopKStopsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := open(t, 2).TopK(ctx, [][]int32{{1}}, 5); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestRangesFitTheModel(t *testing.T) {
	t.Parallel()
	orttest.CheckRanges(t, orttest.OpenTiny(t).Path, retrieve.Ranges)
}
