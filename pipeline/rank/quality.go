package rank

import (
	"context"
	"errors"

	"mllm4rec/data/metric"
	"mllm4rec/data/table"
	"mllm4rec/pipeline/retrieve"
)

// Quality is what a model in a lower precision keeps of the same one in float32.
type Quality struct {
	// Lists were ranked by both: lists of the validation split that hold their answer.
	Lists int
	// Agreement is the share of lists that both begin with the same candidate.
	Agreement float64
	// NDCG and Exact are NDCG@10 of the two, Exact in float32.
	NDCG, Exact float64
}

// Compare ranks the first lists of the validation split that hold their answer, with the model that o names and with the
// one in the file exact, which is the same in float32. Options.Out is not used.
func Compare(ctx context.Context, o Options, exact string, lists int) (Quality, error) {
	rows, err := answered(o, lists)
	if err != nil || len(rows) == 0 {
		return Quality{}, err
	}
	ours, err := rankAll(ctx, o.Model, rows)
	if err != nil {
		return Quality{}, err
	}
	o.Model.File = exact
	theirs, err := rankAll(ctx, o.Model, rows)
	if err != nil {
		return Quality{}, err
	}
	q := Quality{Lists: len(rows), NDCG: ndcg10(ours), Exact: ndcg10(theirs)}
	agreed := 0
	for i := range ours {
		if ours[i].Items[0] == theirs[i].Items[0] {
			agreed++
		}
	}
	q.Agreement = float64(agreed) / float64(len(rows))
	return q, nil
}

// answered reads up to n validation lists that hold their answer.
func answered(o Options, n int) (rows []Row, err error) {
	source, err := openRows(o.Sequences, o.Candidates)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, source.close()) }()
	for row, err := range source.rows() {
		if err != nil {
			return nil, err
		}
		if len(rows) == n {
			break
		}
		if row.Candidates.Split == retrieve.Val {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// rankAll opens a model for as long as it takes to rank rows.
func rankAll(ctx context.Context, o ModelOptions, rows []Row) (ranked []table.Ranking, err error) {
	model, err := Open(o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, model.Close()) }()
	ranked, _, err = model.Rank(ctx, rows, func(int) {})
	return ranked, err
}

func ndcg10(ranked []table.Ranking) float64 {
	sum := 0.0
	for _, r := range ranked {
		if rank := metric.RankIn(r.Items, r.Label); rank >= 1 && rank <= 10 {
			sum += metric.Discount(rank)
		}
	}
	return sum / float64(len(ranked))
}
