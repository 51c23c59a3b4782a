package retrieve

import "context"

// Before calls f with the context of each batch before its model runs.
func (b *Batcher) Before(f func(context.Context)) {
	infer := b.infer
	b.infer = func(ctx context.Context, one batch, histories [][]int32, k int, answers []Ranked) error {
		f(ctx)
		return infer(ctx, one, histories, k, answers)
	}
}

// Waiting is how many histories wait for a worker.
func (b *Batcher) Waiting() int {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return len(b.waiting)
}

// Ranges are the shapes that TensorRT hears of.
var Ranges = ranges
