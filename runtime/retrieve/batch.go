package retrieve

import (
	"context"
	"fmt"

	"mllm4rec/runtime/ort"
)

// scratch is what one run needs, used again by the next: the model's input and outputs, and marks of a user's history.
type scratch struct {
	items  []int64   // [users, length]
	top    []int64   // [users, k]
	scores []float32 // [users, k]
	k      []int64   // [1]
	marks  []uint32  // by item: the number of the user who has it
	user   uint32
}

func newScratch(numItems int) *scratch {
	return &scratch{k: make([]int64, 1), marks: make([]uint32, numItems+1)}
}

// run ranks one batch into results. Batches may run side by side: each writes to its own users.
func (r *Retriever) run(ctx context.Context, b batch, histories [][]int32, k int, results []Ranked) error {
	s := r.scratch.Get().(*scratch)
	defer r.scratch.Put(s)
	s.fill(b, histories)
	if err := s.infer(ctx, r.session, b); err != nil {
		return err
	}
	items, scores := make([]int32, 0, len(b.users)*k), make([]float32, 0, len(b.users)*k)
	for row, user := range b.users {
		from := len(items)
		s.mark(histories[user])
		for i := row * b.k; i < (row+1)*b.k && len(items) < from+k; i++ {
			item, score := s.top[i], s.scores[i]
			if item < 0 || int(item) >= len(s.marks) || score != score {
				return fmt.Errorf("%s: the model gave item %d the score %v: its weights are broken", r.path, item, score)
			}
			if item > 0 && s.marks[item] != s.user {
				items, scores = append(items, int32(item)), append(scores, score)
			}
		}
		results[user] = Ranked{items[from:len(items):len(items)], scores[from:len(scores):len(scores)]}
	}
	return nil
}

// fill writes the newest items of each history, with zeros before them.
func (s *scratch) fill(b batch, histories [][]int32) {
	s.items = grow(s.items, len(b.users)*b.length)
	clear(s.items)
	for row, user := range b.users {
		history := histories[user]
		history = history[max(0, len(history)-b.length):]
		to := s.items[(row+1)*b.length-len(history):]
		for i, item := range history {
			to[i] = int64(item)
		}
	}
}

// infer runs the model over items, into top and scores.
func (s *scratch) infer(ctx context.Context, session *ort.Session, b batch) error {
	users, length, k := int64(len(b.users)), int64(b.length), int64(b.k)
	s.top, s.scores, s.k[0] = grow(s.top, len(b.users)*b.k), grow(s.scores, len(b.users)*b.k), k
	items, err := ort.NewTensor(s.items, users, length)
	if err != nil {
		return err
	}
	defer items.Close()
	count, err := ort.NewTensor(s.k, 1)
	if err != nil {
		return err
	}
	defer count.Close()
	top, err := ort.NewTensor(s.top, users, k)
	if err != nil {
		return err
	}
	defer top.Close()
	scores, err := ort.NewTensor(s.scores, users, k)
	if err != nil {
		return err
	}
	defer scores.Close()
	return session.Run(ctx, []ort.Value{items, count}, []ort.Value{top, scores})
}

// mark notes the items of one history. After four billion users the numbers start again, over clean marks.
func (s *scratch) mark(history []int32) {
	if s.user++; s.user == 0 {
		clear(s.marks)
		s.user = 1
	}
	for _, item := range history {
		s.marks[item] = s.user
	}
}

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
