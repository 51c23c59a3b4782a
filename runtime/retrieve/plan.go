package retrieve

import (
	"cmp"
	"context"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"

	"mllm4rec/runtime/ort"
	"mllm4rec/runtime/ort/modelfile"
)

const (
	// maxTokens bounds histories × length of a batch, padding included.
	maxTokens = 4096
	// maxScores bounds histories × catalogue of a batch: 4 MiB of float32, which stays in a core's cache.
	maxScores = 1 << 20
	// minUsers may be in a batch whatever the catalogue: the table of a large one is read from memory once for them all.
	minUsers = 16
)

// batch is what one run takes: histories of like length.
type batch struct {
	users  []int // indices into the histories
	length int   // to which they are padded
}

// plan sorts the histories by length and cuts them into batches. The batches depend on the histories and the model
// alone, not on the number of workers, and so do the results, to the last bit.
func (r *Retriever) plan(histories [][]int32) []batch {
	order := make([]int, len(histories))
	for i := range order {
		order[i] = i
	}
	length := func(user int) int { return paddedLength(len(histories[user])) }
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(length(a), length(b)) })
	var batches []batch
	for len(order) > 0 {
		b := batch{length: length(order[0])}
		most, n := min(r.most(b.length), len(order)), 1
		for n < most && length(order[n]) == b.length {
			n++
		}
		b.users, order = order[:n], order[n:]
		batches = append(batches, b)
	}
	return batches
}

// most is how many histories of a padded length a batch holds.
func (r *Retriever) most(length int) int {
	return max(1, min(maxTokens/length, max(minUsers, maxScores/(r.numItems+1))))
}

// paddedLength is 8, 16, 24 … 64, 80, 96, 112, 128, 160, 192 … : few shapes, for each of which ONNX Runtime plans its
// memory anew, and seldom more than an eighth of padding. The exported graph works in chunks of 8 positions anyway.
func paddedLength(n int) int {
	power := 1 << bits.Len(uint(n-1)) // the power of two from n on
	step := max(8, power/8)
	return (n + step - 1) / step * step
}

// ranges are the shapes of batches, from the shortest histories to the longest that fill one.
func ranges(*modelfile.Info) []ort.Range {
	shortest, usual := paddedLength(1), 64
	return []ort.Range{{
		Input: "items", Min: []int{1, shortest}, Opt: []int{maxTokens / usual, usual}, Max: []int{maxTokens / shortest, maxTokens},
	}}
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
