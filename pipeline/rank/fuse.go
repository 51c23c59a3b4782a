package rank

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"

	"mllm4rec/data/table"
	"mllm4rec/internal/fail"
	"mllm4rec/pipeline/retrieve"
)

// fuse fits the mixture on the validation split, writes it, and writes both splits in its order.
func fuse(ctx context.Context, o Options) (Fusion, error) {
	rankings := filepath.Join(o.Out, RankingsFile)
	var val []List
	for pair, err := range Pairs(o.Candidates, rankings) {
		if err := errors.Join(err, ctx.Err()); err != nil {
			return Fusion{}, err
		}
		if pair.Split == retrieve.Val {
			val = append(val, pair.List)
		}
	}
	f := Fit(val)
	if err := f.write(filepath.Join(o.Out, FusionFile)); err != nil {
		return Fusion{}, err
	}
	return f, writeFused(ctx, o, f, rankings)
}

func writeFused(ctx context.Context, o Options, f Fusion, rankings string) error {
	out, err := table.Create[table.Ranking](filepath.Join(o.Out, FusedFile))
	if err != nil {
		return err
	}
	defer out.Abort()
	for pair, err := range Pairs(o.Candidates, rankings) {
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		items, scores := f.Order(pair.List)
		if err := out.Write(table.Ranking{UserID: pair.User, Split: pair.Split, Label: pair.Label, Items: items, Scores: scores}); err != nil {
			return err
		}
	}
	return out.Commit()
}

// Pair is one user's list of a split with the scores of both models.
type Pair struct {
	User  int32
	Split string
	List
}

// Pairs reads the tables of candidates and of rankings in step; candidates that are not ranked are left out. Tables of
// different runs are a usage error. An error is the last that comes.
func Pairs(candidates, rankings string) iter.Seq2[Pair, error] {
	return func(yield func(Pair, error) bool) {
		more := true
		err := eachPair(candidates, rankings, func(p Pair) bool {
			more = yield(p, nil)
			return more
		})
		if err != nil && more {
			yield(Pair{}, err)
		}
	}
}

// eachPair calls do until it returns false.
func eachPair(candidates, rankings string, do func(Pair) bool) (err error) {
	from, err := table.Open[table.Candidates](candidates)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	ranked, err := table.Open[table.Ranking](rankings)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ranked.Close()) }()
	next, stop := iter.Pull2(from.Rows())
	defer stop()
	for r, err := range ranked.Rows() {
		if err != nil {
			return err
		}
		c, err := find(next, r)
		if err != nil {
			return fmt.Errorf("%s: %w", rankings, err)
		}
		p, err := match(c, r)
		if err != nil {
			return fmt.Errorf("%s: %w", rankings, err)
		}
		if !do(p) {
			return nil
		}
	}
	return nil
}

// find reads on to the candidates of a ranking.
func find(next func() (table.Candidates, error, bool), r table.Ranking) (table.Candidates, error) {
	for {
		c, err, more := next()
		if err != nil {
			return c, err
		}
		if !more {
			return c, fail.Usagef("user %d, %s, has no candidates: the tables are of different runs", r.UserID, r.Split)
		}
		if c.UserID == r.UserID && c.Split == r.Split {
			return c, nil
		}
	}
}

// match puts the ranker's scores into the order of the candidates.
func match(c table.Candidates, r table.Ranking) (Pair, error) {
	if len(r.Scores) != len(r.Items) {
		return Pair{}, fail.Usagef("user %d, %s: %d items with %d scores", r.UserID, r.Split, len(r.Items), len(r.Scores))
	}
	scores := map[int32]float32{}
	for i, item := range r.Items {
		scores[item] = r.Scores[i]
	}
	p := Pair{r.UserID, r.Split, List{Items: c.Items, Retriever: c.Scores, Ranker: make([]float32, len(c.Items)), Label: c.Label}}
	for i, item := range c.Items {
		score, ok := scores[item]
		if !ok || len(r.Items) != len(c.Items) {
			return p, fail.Usagef("user %d, %s: its items are not its candidates: the tables are of different runs", r.UserID, r.Split)
		}
		p.Ranker[i] = score
	}
	return p, nil
}
