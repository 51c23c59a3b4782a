package retrieve

import (
	"context"
	"errors"
	"math/bits"
	"slices"
	"sync"
)

// Batcher answers single histories, of many callers at once. While a worker is idle a history is run as it comes, alone.
// What comes while all workers are busy is collected, and the worker that is free next runs as much of it together as is
// of the oldest one's shape: nobody waits for company, only for a place. Answers are those of TopK.
//
// A caller whose context ends leaves its batch and need not wait; a batch that has begun ends when the last one has left it.
// TopK may be called from several goroutines at once.
type Batcher struct {
	model   *Retriever
	infer   func(context.Context, batch, [][]int32, int, []Ranked) error // of the model
	observe func(histories, items int)

	mutex   sync.Mutex
	waiting []*asked // the oldest first
	running int      // workers
	closed  bool
	workers sync.WaitGroup
}

// asked is a history that waits for its answer.
type asked struct {
	history []int32
	k       int
	shape
	flight *flight // nil while it waits
	answer Ranked
	err    error
	done   chan struct{}
}

// flight is a batch that runs.
type flight struct {
	asked []*asked
	ctx   context.Context
	end   context.CancelFunc
	left  int // callers who no longer wait for it
}

// shape is what histories must share to be run together: few shapes, for each of which ONNX Runtime plans its memory anew.
type shape struct{ length, k int }

// minK is the least that is asked for, from which on k is rounded up to a power of two.
const minK = 32

// errClosed is the answer to who comes too late.
var errClosed = errors.New("the retriever is closed")

// NewBatcher makes a batcher of a model, which stays the caller's. observe hears of each batch how many histories it held,
// and how many items they had; nil hears nothing.
func NewBatcher(model *Retriever, observe func(histories, items int)) *Batcher {
	if observe == nil {
		observe = func(int, int) {}
	}
	return &Batcher{model: model, infer: model.run, observe: observe}
}

// TopK is Retriever.TopK for one history, which it copies.
func (b *Batcher) TopK(ctx context.Context, history []int32, k int) (Ranked, error) {
	if err := b.model.check([][]int32{history}, k); err != nil {
		return Ranked{}, err
	}
	k = min(k, b.model.numItems)
	a := &asked{history: slices.Clone(history), k: k, done: make(chan struct{})}
	a.shape = shape{paddedLength(len(history)), min(max(minK, 1<<bits.Len(uint(k-1))), b.model.numItems)}
	if err := b.enter(ctx, a); err != nil {
		return Ranked{}, err
	}
	select {
	case <-a.done:
		return a.answer, a.err
	case <-ctx.Done():
		b.leave(a)
		return Ranked{}, ctx.Err()
	}
}

// Close waits for the batches that run, and refuses what waits and what comes.
func (b *Batcher) Close() {
	b.mutex.Lock()
	b.closed = true
	for _, a := range b.waiting {
		a.err = errClosed
		close(a.done)
	}
	b.waiting = nil
	b.mutex.Unlock()
	b.workers.Wait()
}

// enter hands a history to an idle worker, or puts it in the row.
func (b *Batcher) enter(ctx context.Context, a *asked) error {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if b.closed {
		return errClosed
	}
	if b.running == b.model.workers {
		b.waiting = append(b.waiting, a)
		return nil
	}
	b.running++
	f := takeOff([]*asked{a})
	b.workers.Go(func() { b.work(f) })
	return nil
}

// takeOff makes a batch of histories. The mutex is held.
func takeOff(histories []*asked) *flight {
	f := &flight{asked: histories}
	f.ctx, f.end = context.WithCancel(context.Background())
	for _, a := range histories {
		a.flight = f
	}
	return f
}

// leave takes a history out of the row, or ends the batch that nobody waits for any more.
func (b *Batcher) leave(a *asked) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if f := a.flight; f != nil {
		if f.left++; f.left == len(f.asked) {
			f.end()
		}
	} else if i := slices.Index(b.waiting, a); i >= 0 {
		b.waiting = slices.Delete(b.waiting, i, i+1)
	}
}

// work runs batches until nobody waits.
func (b *Batcher) work(f *flight) {
	for f != nil {
		b.run(f)
		f.end()
		f = b.next()
	}
}

// next takes the oldest history and those of its shape out of the row. Where there is none the worker ends.
func (b *Batcher) next() *flight {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if len(b.waiting) == 0 {
		b.running--
		return nil
	}
	same, most := b.waiting[0].shape, b.model.most(b.waiting[0].length)
	var batch []*asked
	b.waiting = slices.DeleteFunc(b.waiting, func(a *asked) bool {
		taken := a.shape == same && len(batch) < most
		if taken {
			batch = append(batch, a)
		}
		return taken
	})
	return takeOff(batch)
}

// run answers a batch of one shape.
func (b *Batcher) run(f *flight) {
	asked := f.asked
	one, items := batch{length: asked[0].length}, 0
	histories, answers := make([][]int32, len(asked)), make([]Ranked, len(asked))
	for i, a := range asked {
		one.users, histories[i] = append(one.users, i), a.history
		items += len(a.history)
	}
	b.observe(len(asked), items)
	err := b.infer(f.ctx, one, histories, asked[0].shape.k, answers)
	for i, a := range asked {
		a.answer, a.err = answers[i].first(a.k), err
		close(a.done)
	}
}

// first are the best k, or all there are.
func (r Ranked) first(k int) Ranked {
	n := min(k, len(r.Items))
	return Ranked{r.Items[:n:n], r.Scores[:n:n]}
}
