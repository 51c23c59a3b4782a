// Package retrieve proposes items for histories, with a retriever that export/lrurec wrote and ONNX Runtime runs.
//
// In go histories, oldest item first, as ids of 1…NumItems; out come the k best items of each, best first, none of its
// history among them: the graph hides all items that it is fed, those too that are older than it looks at. Histories are
// sorted into batches of like length, since most are short; the score matrix of a batch stays inside ONNX Runtime, so
// memory grows with a batch and never with the number of users.
package retrieve

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"

	"mllm4rec/internal/fail"
	"mllm4rec/runtime/ort"
)

// Ranked is a list of items, best first, with their scores. It holds k items, or all there are outside the history.
type Ranked struct {
	Items  []int32
	Scores []float32
}

// Retriever is an opened model. TopK may be called from several goroutines at once; Close may not run beside it.
type Retriever struct {
	session  *ort.Session
	path     string
	numItems int
	longest  int
	workers  int
	scratch  sync.Pool // of *scratch
}

// maxCatalogue and maxHistory bound what a model file may claim: ids are int32, and a scratch buffer has these sizes.
const (
	maxCatalogue = 1 << 30
	maxHistory   = 1 << 16
)

// Open opens a retriever. Options.Threads is how many batches run at once, each on one thread: on two cores that serves
// two to three times the users a second of one batch on both. 0 is one a CPU. On a GPU one batch runs at a time.
func Open(model string, o ort.Options) (*Retriever, error) {
	r := &Retriever{path: model, workers: o.Threads}
	if r.workers <= 0 {
		r.workers = runtime.GOMAXPROCS(0)
	}
	o.Kind, o.Threads, o.Ranges = "retriever", 1, ranges
	session, err := ort.Open(model, o)
	if err != nil {
		return nil, err
	}
	r.session = session
	if session.Provider() != "cpu" {
		r.workers = 1 // a device works on one batch as a whole, and has memory for few
	}
	if err := r.readModel(); err != nil {
		return nil, errors.Join(err, session.Close())
	}
	r.scratch.New = func() any { return &scratch{k: make([]int64, 1)} }
	return r, nil
}

// readModel takes the sizes from the metadata and refuses a graph of another form.
func (r *Retriever) readModel() (err error) {
	m := r.session.Model()
	if r.numItems, err = m.Int("mllm4rec.num_items", 1, maxCatalogue); err != nil {
		return err
	}
	if r.longest, err = m.Int("mllm4rec.max_length", 1, maxHistory); err != nil {
		return err
	}
	in, out := m.InputNames(), m.OutputNames()
	if !slices.Equal(in, []string{"items", "k"}) || !slices.Equal(out, []string{"top_items", "top_scores"}) {
		return fail.Usagef("%s: a retriever takes items, k and gives top_items, top_scores; this one takes %s and gives %s",
			r.path, strings.Join(in, ", "), strings.Join(out, ", "))
	}
	return nil
}

// NumItems is the size of the catalogue: items are 1…NumItems.
func (r *Retriever) NumItems() int { return r.numItems }

// MaxLength is how many items of a history the model looks at, the newest; all are kept out of what it proposes.
func (r *Retriever) MaxLength() int { return r.longest }

// Workers is how many batches run at once.
func (r *Retriever) Workers() int { return r.workers }

// Provider is what the model runs on, such as "cpu".
func (r *Retriever) Provider() string { return r.session.Provider() }

// Close frees the model.
func (r *Retriever) Close() error { return r.session.Close() }

// TopK ranks the catalogue for each history and returns the k best that are not in it, in the order of the histories.
// A k above the size of the catalogue counts as that. An empty history is an error, since the model knows nothing to
// say (the caller decides what such a user gets), and so is an item that the model does not know.
func (r *Retriever) TopK(ctx context.Context, histories [][]int32, k int) ([]Ranked, error) {
	if err := r.check(histories, k); err != nil {
		return nil, err
	}
	k = min(k, r.numItems)
	results := make([]Ranked, len(histories))
	batches := r.plan(histories)
	work := func(ctx context.Context, b batch) error { return r.run(ctx, b, histories, k, results) }
	if err := forEach(ctx, r.workers, batches, work); err != nil {
		return nil, err
	}
	return results, nil
}

func (r *Retriever) check(histories [][]int32, k int) error {
	if k < 1 {
		return fmt.Errorf("k is %d, want 1 or more", k)
	}
	for i, history := range histories {
		if len(history) == 0 {
			return fmt.Errorf("history %d is empty", i)
		}
		for at, item := range history {
			if item < 1 || int(item) > r.numItems {
				return fmt.Errorf("history %d: item %d at place %d is not in 1…%d, the catalogue of %s", i, item, at, r.numItems, r.path)
			}
		}
	}
	return nil
}
