package retrieve

import (
	"context"
	"fmt"
	"math"
	"slices"

	"mllm4rec/runtime/ort"
)

// scratch is what one run needs, used again by the next: the model's inputs and outputs.
type scratch struct {
	items  []int64   // [users, length]
	top    []int64   // [users, k]
	scores []float32 // [users, k]
	k      []int64   // [1]
}

// run ranks one batch into results. Batches may run side by side: each writes to its own users.
func (r *Retriever) run(ctx context.Context, b batch, histories [][]int32, k int, results []Ranked) error {
	s := r.scratch.Get().(*scratch)
	defer r.scratch.Put(s)
	s.fill(b, histories)
	if err := s.infer(ctx, r.session, len(b.users), b.length, k); err != nil {
		return err
	}
	items, scores := make([]int32, len(b.users)*k), slices.Clone(s.scores)
	for i, item := range s.top {
		if item < 0 || int(item) > r.numItems || scores[i] != scores[i] {
			return fmt.Errorf("%s: the model gave item %d the score %v: its weights are broken", r.path, item, scores[i])
		}
		items[i] = int32(item)
	}
	for row, user := range b.users {
		from, to := row*k, (row+1)*k
		// The graph gives the history minus infinity: it comes last, where fewer than k others are left.
		for to > from && math.IsInf(float64(scores[to-1]), -1) {
			to--
		}
		results[user] = Ranked{items[from:to:to], scores[from:to:to]}
	}
	return nil
}

// fill writes the histories, with zeros before each.
func (s *scratch) fill(b batch, histories [][]int32) {
	s.items = grow(s.items, len(b.users)*b.length)
	clear(s.items)
	for row, user := range b.users {
		history := histories[user]
		to := s.items[(row+1)*b.length-len(history):]
		for i, item := range history {
			to[i] = int64(item)
		}
	}
}

// infer runs the model over items, into top and scores.
func (s *scratch) infer(ctx context.Context, session *ort.Session, users, length, k int) error {
	s.top, s.scores, s.k[0] = grow(s.top, users*k), grow(s.scores, users*k), int64(k)
	items, err := ort.NewTensor(s.items, int64(users), int64(length))
	if err != nil {
		return err
	}
	defer items.Close()
	count, err := ort.NewTensor(s.k, 1)
	if err != nil {
		return err
	}
	defer count.Close()
	top, err := ort.NewTensor(s.top, int64(users), int64(k))
	if err != nil {
		return err
	}
	defer top.Close()
	scores, err := ort.NewTensor(s.scores, int64(users), int64(k))
	if err != nil {
		return err
	}
	defer scores.Close()
	return session.Run(ctx, []ort.Value{items, count}, []ort.Value{top, scores})
}

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
