// Package retrieve is the stage that proposes: sequences.parquet and a retriever flow in, candidates.parquet flows out,
// two rows a user. For "val" the history is the train items and the label is the val item; for "test" the history is
// train and val, and the label the test item. No item of the history is proposed; the label may be.
//
// Users stream through in chunks, so memory does not grow with their number. The same sequences and model give the same
// bytes, however many threads work.
package retrieve

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"mllm4rec/data/table"
	"mllm4rec/internal/fail"
	"mllm4rec/internal/progress"
	"mllm4rec/runtime/ort"
	"mllm4rec/runtime/retrieve"
)

// The splits, as the tables spell them.
const (
	Val  = "val"
	Test = "test"
)

// Options say what to read and write.
type Options struct {
	// Sequences and Model are files to read, Out is the table to write.
	Sequences, Model, Out string
	// K is how many items each user gets. A user with fewer items outside the history gets those.
	K int
	// ORT says what the model runs on.
	ORT ort.Options
}

// Stats is what a run did.
type Stats struct {
	// Users are those of the sequences; each has a list a split.
	Users int64
	// Short are the lists of fewer than K items.
	Short int64
	// Repeats are the lists whose label stands in the history: nothing that leaves the history out can hold it.
	Repeats int64
	// Provider is what the model ran on.
	Provider string
}

// Run writes the candidates of every user. A model of another catalogue than the sequences' is a usage error. When ctx
// ends it stops within a batch and leaves the old table in place.
func Run(ctx context.Context, o Options, p *progress.Printer) (stats Stats, err error) {
	if o.K < 1 {
		return Stats{}, fail.Usagef("candidates: k is %d, want 1 or more", o.K)
	}
	model, err := retrieve.Open(o.Model, o.ORT)
	if err != nil {
		return Stats{}, err
	}
	defer func() { err = errors.Join(err, model.Close()) }()
	out, err := table.Create[table.Candidates](o.Out)
	if err != nil {
		return Stats{}, err
	}
	defer out.Abort()
	stats.Provider = model.Provider()
	err = EachChunk(ctx, o.Sequences, "candidates", p, func(rows []table.Sequence) error {
		proposed, err := Propose(ctx, model, rows, o.K)
		if err != nil {
			return err
		}
		for i, c := range proposed {
			if len(c.Items) < o.K {
				stats.Short++
			}
			if slices.Contains(History(rows[i/2], c.Split), c.Label) {
				stats.Repeats++
			}
		}
		stats.Users += int64(len(rows))
		return out.Write(proposed...)
	})
	if err != nil {
		return Stats{}, err
	}
	return stats, out.Commit()
}

// Propose ranks the catalogue for the users of rows: two lists each, val before test, in the order of rows. It is all
// that the stage does to rows, apart from the loop that feeds it.
func Propose(ctx context.Context, model *retrieve.Retriever, rows []table.Sequence, k int) ([]table.Candidates, error) {
	histories := make([][]int32, 0, 2*len(rows))
	for _, row := range rows {
		if err := checkRow(row, model.NumItems()); err != nil {
			return nil, err
		}
		histories = append(histories, History(row, Val), History(row, Test))
	}
	ranked, err := model.TopK(ctx, histories, k)
	if err != nil {
		return nil, err
	}
	proposed := make([]table.Candidates, len(ranked))
	for i, r := range ranked {
		row, c := rows[i/2], &proposed[i]
		*c = table.Candidates{UserID: row.UserID, Split: Val, Label: row.Val, Items: r.Items, Scores: r.Scores}
		if i%2 == 1 {
			c.Split, c.Label = Test, row.Test
		}
	}
	return proposed, nil
}

// History is what a user had before the label of the split, oldest first.
func History(row table.Sequence, split string) []int32 {
	if split == Val {
		return row.Train
	}
	return append(row.Train[:len(row.Train):len(row.Train)], row.Val)
}

// checkRow names the user whose items the model does not know. The ids are dense, so this catches most tables that were
// prepared from other data than the model was trained on.
func checkRow(row table.Sequence, items int) error {
	if len(row.Train) == 0 {
		return fail.Usagef("user %d has no train items: every user needs at least one, besides val and test", row.UserID)
	}
	known := func(item int32) bool { return item >= 1 && int(item) <= items }
	for _, item := range row.Train {
		if !known(item) {
			return unknownItem(row, item, items)
		}
	}
	for _, item := range []int32{row.Val, row.Test} {
		if !known(item) {
			return unknownItem(row, item, items)
		}
	}
	return nil
}

func unknownItem(row table.Sequence, item int32, items int) error {
	return fail.Usagef("user %d has item %d, but the model knows 1…%d: train and export it on these tables", row.UserID, item, items)
}

// CheckAndCount checks the rows as Propose does, against a catalogue of len(counts)-1 items, and adds to counts how often
// each item is in train.
func CheckAndCount(rows []table.Sequence, counts []int64) error {
	for _, row := range rows {
		if err := checkRow(row, len(counts)-1); err != nil {
			return err
		}
		for _, item := range row.Train {
			counts[item]++
		}
	}
	return nil
}

// chunkUsers is how many users are held at once: enough for full batches of every length, a few megabytes of lists.
const chunkUsers = 4096

// EachChunk streams the table of sequences through do, a chunk of users at a time, and shows progress under the label.
// It stops when ctx ends. An error of do gets the table's name in front.
func EachChunk(ctx context.Context, sequences, label string, p *progress.Printer, do func([]table.Sequence) error) (err error) {
	in, err := table.Open[table.Sequence](sequences)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	bar := p.Start(label, in.NumRows(), "users")
	defer bar.Finish()
	flush := func(chunk []table.Sequence) error {
		if err := errors.Join(ctx.Err(), do(chunk)); err != nil {
			return fmt.Errorf("%s: %w", sequences, err)
		}
		bar.Add(int64(len(chunk)))
		return nil
	}
	chunk := make([]table.Sequence, 0, chunkUsers)
	for row, err := range in.Rows() {
		if err != nil {
			return err
		}
		if chunk = append(chunk, row); len(chunk) == chunkUsers {
			if err := flush(chunk); err != nil {
				return err
			}
			chunk = chunk[:0]
		}
	}
	if len(chunk) == 0 {
		return ctx.Err()
	}
	return flush(chunk)
}
