package retrieve

import (
	"context"
	"errors"
	"slices"

	"mllm4rec/data/table"
	"mllm4rec/internal/fail"
	"mllm4rec/internal/progress"
	"mllm4rec/runtime/retrieve"
)

// minPrefix is the shortest history that a ranker trains on, as in LlamaRec (arXiv 2311.02089).
const minPrefix = 2

// Negatives writes what the retriever proposes after every prefix of at least two train items: hard wrong answers for the
// training of a ranker, and the right one where it is found. Options.K is how many. Val and test items are never looked at.
func Negatives(ctx context.Context, o Options, p *progress.Printer) (rows int64, err error) {
	if o.K < 1 {
		return 0, fail.Usagef("negatives: k is %d, want 1 or more", o.K)
	}
	model, err := retrieve.Open(o.Model, o.ORT)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, model.Close()) }()
	out, err := table.Create[table.Negatives](o.Out)
	if err != nil {
		return 0, err
	}
	defer out.Abort()
	err = EachChunk(ctx, o.Sequences, "negatives", p, func(users []table.Sequence) error {
		for prefixes := range slices.Chunk(prefixesOf(users), chunkUsers) {
			found, err := negativesOf(ctx, model, prefixes, o.K)
			if err != nil {
				return err
			}
			rows += int64(len(found))
			if err := out.Write(found...); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return rows, out.Commit()
}

// prefix is the first items of a user's train items.
type prefix struct {
	user    int32
	history []int32
}

func prefixesOf(users []table.Sequence) []prefix {
	var all []prefix
	for _, u := range users {
		for n := minPrefix; n < len(u.Train); n++ {
			all = append(all, prefix{u.UserID, u.Train[:n]})
		}
	}
	return all
}

// negativesOf are the retriever's k best items after each prefix.
func negativesOf(ctx context.Context, model *retrieve.Retriever, prefixes []prefix, k int) ([]table.Negatives, error) {
	histories := make([][]int32, len(prefixes))
	for i, p := range prefixes {
		for _, item := range p.history {
			if item < 1 || int(item) > model.NumItems() {
				return nil, fail.Usagef("user %d has item %d, but the model knows 1…%d: train and export it on these tables", p.user, item, model.NumItems())
			}
		}
		histories[i] = p.history
	}
	ranked, err := model.TopK(ctx, histories, k)
	if err != nil {
		return nil, err
	}
	rows := make([]table.Negatives, len(ranked))
	for i, r := range ranked {
		rows[i] = table.Negatives{UserID: prefixes[i].user, Position: int32(len(prefixes[i].history)), Items: r.Items}
	}
	return rows, nil
}
