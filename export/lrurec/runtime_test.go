package lrurec

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"mllm4rec/internal/testkit"
	"mllm4rec/runtime/ort"
	"mllm4rec/runtime/ort/orttest"
)

// tolerance of scores: both sides compute in float32, in another order.
const tolerance = 1e-4

// run runs a model on left-padded items [batch, length] and returns all scores, or the top k.
func run(t testing.TB, path string, items []int64, batch, length, numItems, k int) ([]int64, []float32) {
	t.Helper()
	s := testkit.Must(ort.Open(path, orttest.Options(t)))(t)
	defer s.Close()
	in := testkit.Must(ort.NewTensor(items, int64(batch), int64(length)))(t)
	defer in.Close()
	if k == 0 {
		scores := make([]float32, batch*(numItems+1))
		out := testkit.Must(ort.NewTensor(scores, int64(batch), int64(numItems+1)))(t)
		defer out.Close()
		if err := s.Run(t.Context(), []ort.Value{in}, []ort.Value{out}); err != nil {
			t.Fatal(err)
		}
		return nil, scores
	}
	count := testkit.Must(ort.NewTensor([]int64{int64(k)}, 1))(t)
	defer count.Close()
	ids, scores := make([]int64, batch*k), make([]float32, batch*k)
	topItems := testkit.Must(ort.NewTensor(ids, int64(batch), int64(k)))(t)
	defer topItems.Close()
	topScores := testkit.Must(ort.NewTensor(scores, int64(batch), int64(k)))(t)
	defer topScores.Close()
	if err := s.Run(t.Context(), []ort.Value{in, count}, []ort.Value{topItems, topScores}); err != nil {
		t.Fatal(err)
	}
	return ids, scores
}

// difference is the largest of two lists of scores; -inf equals -inf only.
func difference(a, b []float32) float64 {
	largest := 0.0
	for i := range a {
		if a[i] == b[i] {
			continue
		}
		d := math.Abs(float64(a[i]) - float64(b[i]))
		if !(d <= largest) {
			largest = d
		}
	}
	return largest
}

func TestScoresEqualTheReference(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"small", "one_block", "long"} {
		for _, chunk := range []int{1, 4, 8, 16, 64} {
			t.Run(fmt.Sprintf("%s in chunks of %d", name, chunk), func(t *testing.T) {
				t.Parallel()
				g := openGolden(t, name)
				path := g.export(t, Options{Scores: true}, design{chunk: chunk, carry: carryByScan})
				_, got := run(t, path, g.items, g.batch, g.length, g.NumItems, 0)
				if d := difference(got, g.masked()); !(d <= tolerance) {
					t.Errorf("scores differ by %v", d)
				} else {
					t.Logf("scores differ by %v", d)
				}
			})
		}
	}
}

func TestTopItemsEqualTheReference(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"small", "one_block", "long"} {
		g := openGolden(t, name)
		const k = 20
		ids, scores := run(t, g.export(t, Options{}, designFor(g.Hidden)), g.items, g.batch, g.length, g.NumItems, k)
		want := g.masked()
		n := g.NumItems + 1
		for user := range g.batch {
			all := want[user*n : (user+1)*n]
			order := make([]int64, n)
			for i := range order {
				order[i] = int64(i)
			}
			slices.SortStableFunc(order, func(a, b int64) int {
				if all[a] > all[b] {
					return -1
				}
				return 1
			})
			for i := range k {
				id, score := ids[user*k+i], scores[user*k+i]
				if math.Abs(float64(score-all[order[i]])) > tolerance || math.Abs(float64(score-all[id])) > tolerance {
					t.Errorf("%s, user %d, place %d: item %d with %v, want %d with %v", name, user, i, id, score, order[i], all[order[i]])
				}
			}
		}
	}
}
