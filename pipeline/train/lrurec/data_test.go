package lrurec

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mllm4rec/data/table"
	"mllm4rec/internal/fail"
)

func TestEveryItemButAUsersFirstIsALabelOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		length := rapid.IntRange(1, 9).Draw(t, "length")
		s := &sequences{counts: make([]int64, 6)}
		var want []int32
		for range rapid.IntRange(0, 5).Draw(t, "users") {
			train := rapid.SliceOfN(rapid.Int32Range(1, 5), 0, 30).Draw(t, "train")
			s.add(table.Sequence{Train: train, Val: 1, Test: 2}, length)
			want = append(want, train[min(1, len(train)):]...)
		}
		var got []int32
		for _, w := range s.windows {
			if w.to-w.from < 1 || w.to-w.from > length {
				t.Fatalf("a window of %d positions, length is %d", w.to-w.from, length)
			}
			got = append(got, s.items[w.from+1:w.to+1]...)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("labels %v, want %v", got, want)
		}
	})
}

func TestValidationSeesTheLastItems(t *testing.T) {
	t.Parallel()
	s := &sequences{counts: make([]int64, 10)}
	s.add(table.Sequence{Train: []int32{1, 2, 3, 4, 5}, Val: 6, Test: 7}, 3)
	s.add(table.Sequence{Train: []int32{8}, Val: 0}, 3)
	if len(s.checks) != 1 || s.checks[0].label != 6 || !slices.Equal(s.items[s.checks[0].from:s.checks[0].to], []int32{3, 4, 5}) {
		t.Errorf("checks %v", s.checks)
	}
}

func TestAnEpochIsEveryWindowOnceInAnotherOrderEachTime(t *testing.T) {
	t.Parallel()
	s := &sequences{counts: make([]int64, 101)}
	for i := range int32(50) {
		s.add(table.Sequence{Train: []int32{2*i + 1, 2*i + 2}}, 4)
	}
	b := newBatches(s, 1, 8)
	epoch := func(n int) (items []int32) {
		for step := 7 * n; step < 7*(n+1); step++ {
			batch := b.at(step)
			items = append(items, batch.Items...)
			if last := int(batch.Starts[len(batch.Starts)-1]); last != len(batch.Items) || len(batch.Items) != len(batch.Labels) {
				t.Fatalf("starts %v for %d items and %d labels", batch.Starts, len(batch.Items), len(batch.Labels))
			}
		}
		return items
	}
	first, second, again := epoch(0), epoch(1), epoch(0)
	if slices.Equal(first, second) || !slices.Equal(first, again) {
		t.Error("the order must change from epoch to epoch and depend on nothing else")
	}
	slices.Sort(first)
	if len(slices.Compact(first)) != 50 {
		t.Errorf("an epoch has %d different windows of 50", len(slices.Compact(first)))
	}
}

func TestBadSequencesNameFileRowAndItem(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]table.Sequence{
		"item 7":           {Train: []int32{1, 7}, Val: 1, Test: 1},
		"item 0":           {Train: []int32{0, 1}, Val: 1, Test: 1},
		"item 9":           {Train: []int32{1, 2}, Val: 9, Test: 1},
		"nothing to learn": {Train: []int32{1}, Val: 2, Test: 3},
	} {
		path := filepath.Join(t.TempDir(), "sequences.parquet")
		if err := table.WriteAll(path, []table.Sequence{row}); err != nil {
			t.Fatal(err)
		}
		_, err := readSequences(t.Context(), path, 6, 10)
		if !fail.IsUsage(err) || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
