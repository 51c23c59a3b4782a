package retrieve

import (
	"cmp"
	"context"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
)

const (
	// maxTokens bounds histories × length of a batch, padding included.
	maxTokens = 4096
	// maxScores bounds histories × catalogue of a batch: 4 MiB of float32, which stays in a core's cache.
	maxScores = 1 << 20
)

// batch is what one run takes: histories of like length.
type batch struct {
	users  []int // indices into the histories
	length int   // to which they are padded
	k      int   // how many items the model is asked for
}

// plan sorts the histories by length and cuts them into batches. The batches depend on the histories and the model
// alone, not on the number of workers, and so do the results, to the last bit.
func (r *Retriever) plan(histories [][]int32, k int) []batch {
	order := make([]int, len(histories))
	for i := range order {
		order[i] = i
	}
	shape := func(user int) batch { return r.shape(len(histories[user]), k) }
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := shape(a), shape(b)
		return cmp.Or(cmp.Compare(x.k, y.k), cmp.Compare(x.length, y.length))
	})
	var batches []batch
	for len(order) > 0 {
		b := shape(order[0])
		most := max(1, min(maxTokens/b.length, maxScores/(r.numItems+1), len(order)))
		n := 1
		for n < most && same(b, shape(order[n])) {
			n++
		}
		b.users, order = order[:n], order[n:]
		batches = append(batches, b)
	}
	return batches
}

func same(a, b batch) bool { return a.length == b.length && a.k == b.k }

// shape is the batch that a history of n items belongs to. The graph hides the items that it is fed; of a history longer
// than that, up to n - maxLength more may come out on top, so that many more are asked for (rounded up, to have few
// shapes) and taken out afterwards.
func (r *Retriever) shape(n, k int) batch {
	if older := n - r.maxLength; older > 0 {
		const step = 32
		more := step << bits.Len(uint((older-1)/step))
		return batch{length: r.maxLength, k: min(k+more, r.numItems)}
	}
	at, _ := slices.BinarySearch(r.lengths, n)
	return batch{length: r.lengths[at], k: k}
}

// paddedLengths are 1, 2, 3, 4, 6, 8, 12, 16, 24 … up to most: a third of padding at worst, and few shapes, for each of
// which ONNX Runtime plans its memory anew.
func paddedLengths(most int) []int {
	var lengths []int
	for power := 1; power < most; power *= 2 {
		lengths = append(lengths, power)
		if between := power + power/2; between > power && between < most {
			lengths = append(lengths, between)
		}
	}
	return append(lengths, most)
}

// forEach calls do with every item, on so many goroutines, until one fails, and returns that error.
func forEach[T any](ctx context.Context, workers int, items []T, do func(context.Context, T) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	loop := func() {
		for i := next.Add(1) - 1; int(i) < len(items) && ctx.Err() == nil; i = next.Add(1) - 1 {
			if err := do(ctx, items[i]); err != nil {
				cancel(err)
			}
		}
	}
	var group sync.WaitGroup
	for range min(workers, len(items)) - 1 {
		group.Go(loop)
	}
	loop()
	group.Wait()
	return context.Cause(ctx)
}
