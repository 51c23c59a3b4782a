package prompt

import (
	"slices"
	"testing"
)

// The values come from an implementation of PCG-DXSM in Python.
func TestShuffleIsTheSameForEver(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		n     int
		seed  int64
		user  int32
		round int
		want  []int
	}{
		{0, 42, 1, 0, []int{}},
		{1, 42, 1, 0, []int{0}},
		{5, 0, 0, 0, []int{3, 0, 4, 2, 1}},
		{20, 42, 1, 0, []int{4, 6, 0, 2, 15, 8, 10, 7, 18, 3, 5, 19, 17, 11, 16, 13, 1, 9, 14, 12}},
		{20, 42, 1, 1, []int{5, 14, 3, 6, 1, 16, 19, 4, 13, 10, 9, 0, 12, 17, 18, 2, 15, 11, 8, 7}},
		{20, 42, 2, 0, []int{18, 7, 19, 13, 10, 12, 5, 0, 9, 14, 11, 17, 15, 4, 6, 1, 2, 3, 8, 16}},
		{20, 43, 1, 0, []int{10, 6, 4, 19, 16, 18, 9, 12, 11, 2, 3, 1, 7, 17, 15, 13, 8, 14, 0, 5}},
		{12, -1, 1<<31 - 1, 7, []int{0, 11, 7, 10, 9, 5, 1, 3, 2, 4, 6, 8}},
	} {
		if got := Shuffle(c.n, c.seed, c.user, c.round); !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestShufflePutsEveryCandidateEverywhereEquallyOften(t *testing.T) {
	t.Parallel()
	const n, users, rounds = 20, 2000, 5
	var counts [n][n]int
	same := 0
	for user := range int32(users) {
		last := []int(nil)
		for round := range rounds {
			order := Shuffle(n, 7, user, round)
			for letter, at := range order {
				counts[letter][at]++
			}
			if sorted := slices.Sorted(slices.Values(order)); sorted[0] != 0 || sorted[n-1] != n-1 || len(slices.Compact(sorted)) != n {
				t.Fatalf("no permutation: %v", order)
			}
			if slices.Equal(order, last) {
				same++
			}
			last = order
		}
	}
	if same > 0 {
		t.Errorf("%d rounds in the order of the round before", same)
	}
	const want = users * rounds / n
	chi := 0.0
	for _, row := range counts {
		for _, count := range row {
			d := float64(count - want)
			chi += d * d / want
		}
	}
	if chi > 461 { // 361 degrees of freedom: above this once in 3,000 times
		t.Errorf("χ² = %.0f over %d cells of %d", chi, n*n, want)
	}
}
