// Package evaluate is the stage that measures: sequences.parquet and a retriever flow in, metrics.parquet and
// metrics.json flow out. For val and test it has Recall, MRR and NDCG at 1, 5, 10, 20, 50 as means over all users, and
// the share of the catalogue in anyone's top 10 and top 20, of the retriever, of what orders its candidates anew (the
// ranker, and its fusion with the retriever) and of two baselines: the most popular items, and a random order (its exact
// expectation, so no seed). Every model ranks the whole catalogue without the user's history, where history is train for
// val, and train and val for test; an answer that is in the history can be nobody's hit.
//
// The models give their 50 best (the retriever as many as there are candidates, where that is more), which is the full
// ranking as far as these metrics see: an answer below the 50th place counts zero in each of them, and the place of one
// above it is its rank among all items. So memory grows with the catalogue, and never with users × items.
package evaluate

import (
	"context"
	"errors"
	"path/filepath"
	"slices"

	"mllm4rec/data/metric"
	"mllm4rec/data/table"
	"mllm4rec/internal/progress"
	candidates "mllm4rec/pipeline/retrieve"
	"mllm4rec/runtime/ort"
	"mllm4rec/runtime/retrieve"
)

// The models and subsets of the table of metrics.
const (
	Retriever = "retriever"
	// Ranker is the retriever's list with its candidates as the language model orders them; Fusion with both models'
	// scores mixed.
	Ranker     = "ranker"
	Fusion     = "fusion"
	Popularity = "popularity"
	Random     = "random"

	// All is every user; Retrieved are those whose answer is among the retriever's candidates, on whom a ranker can
	// make a difference.
	All       = "all"
	Retrieved = "retrieved"
)

// The names of what Run writes into Options.Out.
const (
	ParquetFile = "metrics.parquet"
	JSONFile    = "metrics.json"
)

// Options say what to read and write.
type Options struct {
	// Sequences and Model are files to read, Out is the folder to write to.
	Sequences, Model, Out string
	// Candidates is how many items a user's list of candidates has, which is what the subset "retrieved" goes by.
	Candidates int
	// Rankings and Fused are tables of the candidates in another order, to be measured too; empty means none.
	Rankings, Fused string
	// ORT says what the model runs on.
	ORT ort.Options
}

// Run measures the retriever and the baselines, and writes and returns the table of metrics. It reads the sequences
// twice: the first time it counts how popular each item is in train.
func Run(ctx context.Context, o Options, p *progress.Printer) (rows []table.Metric, err error) {
	model, err := retrieve.Open(o.Model, o.ORT)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, model.Close()) }()
	counts := make([]int64, model.NumItems()+1)
	err = candidates.EachChunk(ctx, o.Sequences, "evaluate: popularity", p, func(rows []table.Sequence) error {
		return candidates.CheckAndCount(rows, counts)
	})
	if err != nil {
		return nil, err
	}
	others, err := openReorderings(o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, others.close()) }()
	b := newBoard(model.NumItems(), o.Candidates, newPopularity(counts), others.models())
	err = candidates.EachChunk(ctx, o.Sequences, "evaluate: ranking", p, func(rows []table.Sequence) error {
		proposed, err := candidates.Propose(ctx, model, rows, max(longest(), o.Candidates))
		if err != nil {
			return err
		}
		for i, c := range proposed {
			lists, err := others.lists(c, o.Candidates)
			if err != nil {
				return err
			}
			b.add(candidates.History(rows[i/2], c.Split), c.Split, c.Label, lists)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := others.end(); err != nil {
		return nil, err
	}
	rows = b.rows()
	return rows, write(o.Out, rows)
}

// longest is the length of list that all metrics can be read from.
func longest() int { return slices.Max(metric.Cutoffs()) }

func write(dir string, rows []table.Metric) error {
	if err := table.WriteAll(filepath.Join(dir, ParquetFile), rows); err != nil {
		return err
	}
	return writeJSON(filepath.Join(dir, JSONFile), rows)
}
