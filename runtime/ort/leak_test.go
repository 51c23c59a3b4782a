package ort_test

import (
	"testing"

	"mllm4rec/runtime/ort"
	"mllm4rec/runtime/ort/orttest"
)

// TestThousandRoundsLeaveMemoryFlat opens a session, runs it and fails in it a thousand times. It owns the process's
// memory while it measures, so it runs alone.
func TestThousandRoundsLeaveMemoryFlat(t *testing.T) {
	if testing.Short() {
		t.Skip("a thousand sessions take seconds")
	}
	options := orttest.Options(t)
	options.Threads = 1
	round := func() {
		s, err := ort.Open(tiny, options)
		if err != nil {
			t.Fatal(err)
		}
		items := make([]int64, 64*6)
		if _, _, err := topK(t.Context(), s, items, 64, 10); err != nil {
			t.Fatal(err)
		}
		items[5] = 99
		if _, _, err := topK(t.Context(), s, items, 64, 10); err == nil {
			t.Fatal("item 99 of 30 was taken")
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for range 200 {
		round()
	}
	orttest.Flat(t, 8<<20, func() {
		for range 1000 {
			round()
		}
	})
}
