package report

import (
	"math"
	"sort"
)

// histogram counts whole numbers in bins whose edges are 1, 2, 3, 4, 6, 8, 12, 16, 24, …: two bins a doubling, so that a
// long tail fits on the page.
type histogram struct {
	counts []int64 // by number, up to exactBelow
	tail   map[int]int64
	total  int64
	sum    int64
	max    int
}

// exactBelow is up to where numbers are counted in a slice; above it they are rare and kept in a map.
const exactBelow = 1 << 16

func newHistogram() *histogram {
	return &histogram{counts: make([]int64, exactBelow), tail: map[int]int64{}}
}

// add counts n, which is at least 0.
func (h *histogram) add(n int) {
	if n < exactBelow {
		h.counts[n]++
	} else {
		h.tail[n]++
	}
	h.total++
	h.sum += int64(n)
	h.max = max(h.max, n)
}

func (h *histogram) mean() float64 { return float64(h.sum) / math.Max(1, float64(h.total)) }

// numbers calls visit with every number that was counted, ascending, until it returns false.
func (h *histogram) numbers(visit func(n int, count int64) bool) {
	for n, count := range h.counts {
		if count > 0 && !visit(n, count) {
			return
		}
	}
	tail := make([]int, 0, len(h.tail))
	for n := range h.tail {
		tail = append(tail, n)
	}
	sort.Ints(tail)
	for _, n := range tail {
		if !visit(n, h.tail[n]) {
			return
		}
	}
}

// median is the smallest number that at least half of what was counted does not exceed.
func (h *histogram) median() int {
	median, below := 0, int64(0)
	h.numbers(func(n int, count int64) bool {
		median, below = n, below+count
		return 2*below < h.total
	})
	return median
}

// topShare is the part of the sum that the largest tenth of the numbers holds.
func (h *histogram) topShare() float64 {
	rest := h.total - (h.total+9)/10 // how many are not in the top tenth
	top := h.sum
	h.numbers(func(n int, count int64) bool {
		taken := min(count, rest)
		top -= taken * int64(n)
		rest -= taken
		return rest > 0
	})
	return float64(top) / math.Max(1, float64(h.sum))
}

// bin is the numbers from From to To, both included.
type bin struct {
	From, To int
	Count    int64
}

// bins returns the bins from the first that holds something to the last.
func (h *histogram) bins() []bin {
	var bins []bin
	h.numbers(func(n int, count int64) bool {
		for len(bins) == 0 || n > bins[len(bins)-1].To {
			bins = append(bins, nextBin(bins, n))
		}
		bins[len(bins)-1].Count += count
		return true
	})
	return bins
}

// nextBin is the bin after the last one, or the one that holds n where there is none.
func nextBin(bins []bin, n int) bin {
	from := 0
	if len(bins) > 0 {
		from = bins[len(bins)-1].To + 1
	} else {
		for binEnd(from) < n {
			from = binEnd(from) + 1
		}
	}
	return bin{From: from, To: binEnd(from)}
}

// binEnd is the last number of the bin that starts at from: the edges are 2^i and 3·2^i.
func binEnd(from int) int {
	power := 1
	for power*2 <= from {
		power *= 2
	}
	switch {
	case from < 4:
		return from
	case from == power:
		return power + power/2 - 1
	}
	return 2*power - 1
}
