package retrieve_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"mllm4rec/runtime/ort/orttest"
	"mllm4rec/runtime/retrieve"
)

// same compares answers: the items, and the scores but for the last bits, which depend on the batch.
func same(got, want retrieve.Ranked) bool {
	if !slices.Equal(got.Items, want.Items) || len(got.Scores) != len(want.Scores) {
		return false
	}
	for i, score := range got.Scores {
		if !(math.Abs(float64(score-want.Scores[i])) <= 1e-5) {
			return false
		}
	}
	return true
}

func TestEachAskerGetsTheAnswerToItsOwnHistory(t *testing.T) {
	t.Parallel()
	r := open(t, 1)
	b := retrieve.NewBatcher(r, nil)
	defer b.Close()
	history := rapid.SliceOfN(rapid.Int32Range(1, tinyItems), 1, 3*tinyLong)
	rapid.Check(t, func(t *rapid.T) {
		histories := rapid.SliceOfN(history, 1, 40).Draw(t, "histories")
		ks := rapid.SliceOfN(rapid.IntRange(1, tinyItems+5), len(histories), len(histories)).Draw(t, "ks")
		var group sync.WaitGroup
		var wrong atomic.Int64
		for i, history := range histories {
			group.Go(func() {
				got, err := b.TopK(context.Background(), history, ks[i])
				want, directErr := r.TopK(context.Background(), histories[i:i+1], ks[i])
				if err != nil || directErr != nil || !same(got, want[0]) {
					wrong.Add(1)
				}
			})
		}
		if group.Wait(); wrong.Load() > 0 {
			t.Fatalf("%d of %d answers are not those of TopK", wrong.Load(), len(histories))
		}
	})
}

// blocked makes a batcher whose only worker is held at its first batch until release is called.
func blocked(t *testing.T, r *retrieve.Retriever) (b *retrieve.Batcher, sizes *[]int, release func()) {
	t.Helper()
	hold, entered := make(chan struct{}), make(chan struct{})
	var first sync.Once
	sizes = new([]int)
	b = retrieve.NewBatcher(r, func(n, _ int) {
		*sizes = append(*sizes, n)
		first.Do(func() { close(entered); <-hold })
	})
	go func() { _, _ = b.TopK(context.Background(), []int32{1}, 1) }()
	<-entered
	return b, sizes, sync.OnceFunc(func() { close(hold) })
}

// until yields to others until a condition holds, for which they need not wait.
func until(t *testing.T, holds func() bool) {
	t.Helper()
	for !holds() {
		if t.Context().Err() != nil {
			t.Fatal("the test ended")
		}
		runtime.Gosched()
	}
}

func TestWhatComesWhileTheWorkerIsBusyRunsTogetherByLength(t *testing.T) {
	t.Parallel()
	b, sizes, release := blocked(t, open(t, 1))
	var group sync.WaitGroup
	ask := func(n, length int) {
		for range n {
			group.Go(func() {
				if _, err := b.TopK(context.Background(), slices.Repeat([]int32{2}, length), 3); err != nil {
					t.Error(err)
				}
			})
		}
	}
	ask(5, 3)
	until(t, func() bool { return b.Waiting() == 5 })
	ask(4, 20)
	until(t, func() bool { return b.Waiting() == 9 })
	release()
	group.Wait()
	b.Close()
	if !slices.Equal(*sizes, []int{1, 5, 4}) {
		t.Errorf("batches of %v, want 1, 5, 4", *sizes)
	}
}

func TestWhoHangsUpLeavesTheBatch(t *testing.T) {
	t.Parallel()
	b, sizes, release := blocked(t, open(t, 1))
	ctx, cancel := context.WithCancel(t.Context())
	gone, stays := make(chan error), make(chan error)
	go func() { _, err := b.TopK(ctx, []int32{2}, 1); gone <- err }()
	until(t, func() bool { return b.Waiting() == 1 })
	go func() { _, err := b.TopK(context.Background(), []int32{3}, 1); stays <- err }()
	until(t, func() bool { return b.Waiting() == 2 })
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if n := b.Waiting(); n != 1 {
		t.Errorf("%d wait, want 1", n)
	}
	release()
	if err := <-stays; err != nil {
		t.Error(err)
	}
	b.Close()
	if !slices.Equal(*sizes, []int{1, 1}) {
		t.Errorf("batches of %v, want 1 and 1", *sizes)
	}
}

func TestABatchEndsWhenTheLastHasLeftIt(t *testing.T) {
	t.Parallel()
	b, _, release := blocked(t, open(t, 1))
	first, hangUpFirst := context.WithCancel(t.Context())
	second, hangUpSecond := context.WithCancel(t.Context())
	gone := make(chan error)
	for _, ctx := range []context.Context{first, second} {
		go func() { _, err := b.TopK(ctx, []int32{2}, 1); gone <- err }()
	}
	until(t, func() bool { return b.Waiting() == 2 })
	ended, held := make(chan struct{}), true
	b.Before(func(batch context.Context) {
		if held { // the batch before
			held = false
			return
		}
		if hangUpFirst(); !errors.Is(<-gone, context.Canceled) || batch.Err() != nil {
			t.Error("the batch ended with the first of two callers")
		}
		if hangUpSecond(); !errors.Is(<-gone, context.Canceled) {
			t.Error("the second got another answer than that it hung up")
		}
		<-batch.Done()
		close(ended)
	})
	release()
	<-ended
	b.Close()
}

func TestBatcherRefuses(t *testing.T) {
	t.Parallel()
	b := retrieve.NewBatcher(open(t, 1), nil)
	if _, err := b.TopK(t.Context(), nil, 3); err == nil {
		t.Error("an empty history was taken")
	}
	if _, err := b.TopK(t.Context(), []int32{31}, 3); err == nil {
		t.Error("an unknown item was taken")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.TopK(ctx, []int32{1}, 3); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	b.Close()
	if _, err := b.TopK(t.Context(), []int32{1}, 3); err == nil {
		t.Error("a closed batcher answered")
	}
}

func TestCloseRefusesThoseWhoWait(t *testing.T) {
	t.Parallel()
	b, _, release := blocked(t, open(t, 1))
	waits, closed := make(chan error), make(chan struct{})
	go func() { _, err := b.TopK(context.Background(), []int32{2}, 1); waits <- err }()
	until(t, func() bool { return b.Waiting() == 1 })
	go func() { b.Close(); close(closed) }()
	if err := <-waits; err == nil {
		t.Error("it was answered by a closed batcher")
	}
	release()
	<-closed
}

// TestBatcherLeavesNothingBehind asks 20,000 times from many goroutines, and hangs up on some.
func TestBatcherLeavesNothingBehind(t *testing.T) {
	if testing.Short() {
		t.Skip("20,000 requests take seconds")
	}
	b := retrieve.NewBatcher(open(t, 2), nil)
	defer b.Close()
	round := func(seed uint64) {
		var group sync.WaitGroup
		for worker := range uint64(20) {
			group.Go(func() {
				random := rand.New(rand.NewPCG(seed, worker))
				for range 25 {
					ctx, cancel := context.WithCancel(context.Background())
					if random.IntN(5) == 0 {
						cancel()
					}
					history := make([]int32, 1+random.IntN(60))
					for i := range history {
						history[i] = 1 + random.Int32N(tinyItems)
					}
					_, _ = b.TopK(ctx, history, 1+random.IntN(tinyItems))
					cancel()
				}
			})
		}
		group.Wait()
	}
	for i := range uint64(10) {
		round(i)
	}
	orttest.Flat(t, 16<<20, func() {
		for i := range uint64(40) {
			round(i)
		}
	})
}
