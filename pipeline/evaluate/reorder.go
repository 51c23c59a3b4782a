package evaluate

import (
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"slices"

	"mllm4rec/data/table"
	"mllm4rec/internal/fail"
)

// reorderings are the tables of candidates in another order, read in step with the users.
type reorderings []*reordering

// reordering is one such table: its rows stand in the order of the users, val before test, and may leave users out, for
// whom the retriever's order holds.
type reordering struct {
	model, path string
	table       *table.Reader[table.Ranking]
	next        func() (table.Ranking, error, bool)
	stop        func()
	row         table.Ranking
	held        bool // row is read and not used
}

func openReorderings(o Options) (all reorderings, err error) {
	for _, source := range []struct{ model, path string }{{Ranker, o.Rankings}, {Fusion, o.Fused}} {
		if source.path == "" {
			continue
		}
		t, err := table.Open[table.Ranking](source.path)
		if err != nil {
			return nil, errors.Join(err, all.close())
		}
		r := &reordering{model: source.model, path: source.path, table: t}
		r.next, r.stop = iter.Pull2(t.Rows())
		all = append(all, r)
	}
	return all, nil
}

func (all reorderings) close() (err error) {
	for _, r := range all {
		r.stop()
		err = errors.Join(err, r.table.Close())
	}
	return err
}

// models names the trained models in the order of lists.
func (all reorderings) models() []string {
	names := []string{Retriever}
	for _, r := range all {
		names = append(names, r.model)
	}
	return names
}

// lists gives what each model shows the user: the first candidates in its order, then the retriever's further items.
func (all reorderings) lists(c table.Candidates, k int) ([][]int32, error) {
	lists := [][]int32{c.Items}
	for _, r := range all {
		row, found, err := r.of(c.UserID, c.Split)
		if err != nil {
			return nil, err
		}
		list := c.Items
		if found {
			if list, err = reordered(c.Items, row.Items, k); err != nil {
				return nil, fail.Usagef("%s: user %d, %s: %w", filepath.Base(r.path), c.UserID, c.Split, err)
			}
		}
		lists = append(lists, list)
	}
	return lists, nil
}

// of gives the user's row, if the table has one.
func (r *reordering) of(user int32, split string) (table.Ranking, bool, error) {
	if !r.held {
		row, err, more := r.next()
		if err != nil {
			return table.Ranking{}, false, fmt.Errorf("%s: %w", filepath.Base(r.path), err)
		}
		r.row, r.held = row, more
	}
	if !r.held || r.row.UserID != user || r.row.Split != split {
		return table.Ranking{}, false, nil
	}
	r.held = false
	return r.row, true, nil
}

// end makes sure that every row was some user's.
func (all reorderings) end() error {
	for _, r := range all {
		if _, _, err := r.of(0, ""); err != nil {
			return err
		}
		if r.held {
			return fail.Usagef("%s: user %d, %s, is none of the users, or not in their order; rank again", filepath.Base(r.path), r.row.UserID, r.row.Split)
		}
	}
	return nil
}

// reordered puts ranked in the place of the first k of items, which must be the same ones.
func reordered(items, ranked []int32, k int) ([]int32, error) {
	k = min(k, len(items))
	if len(ranked) != k {
		return nil, fmt.Errorf("%d items, and the retriever proposes %d; rank again", len(ranked), k)
	}
	if a, b := slices.Sorted(slices.Values(items[:k])), slices.Sorted(slices.Values(ranked)); !slices.Equal(a, b) {
		return nil, errors.New("other items than the retriever proposes; rank again")
	}
	return slices.Concat(ranked, items[k:]), nil
}
