// Package rank is the stage that ranks: the candidates and the language model flow in; rankings.parquet (the candidates as
// the language model orders them), fused.parquet (with both models' scores mixed) and fusion.json (the mixture's weight)
// flow out. All users are ranked on the test split. On the validation split, which only the fit of the mixture reads, those
// are whose answer is among their candidates: for the others there is nothing to learn from.
package rank

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"mllm4rec/data/prompt"
	"mllm4rec/data/table"
	"mllm4rec/internal/atomicfile"
	"mllm4rec/internal/progress"
)

// The names of what Run writes into Options.Out.
const (
	RankingsFile = "rankings.parquet"
	FusedFile    = "fused.parquet"
	FusionFile   = "fusion.json"
	// PartsFolder holds finished parts while a run is under way: one that was killed goes on behind the last.
	PartsFolder = "rankings"
)

// Options say what to read and write.
type Options struct {
	// Sequences and Candidates are tables of one run, Out is the folder to write to.
	Sequences, Candidates, Out string
	Model                      ModelOptions
}

// Stats is what a run did.
type Stats struct {
	// Lists were ranked, Resumed of them by a run before that was killed.
	Lists, Resumed int64
	// Cut is what prompts had to lose.
	Cut prompt.Cut
	// Provider is what the model ran on.
	Provider string
	Fusion   Fusion
}

// partLists is how many lists a part holds: what a kill costs at most. On 2 cores SmolLM2-135M takes a minute
// or less for them, a model of 7 billion parameters fifty times as long.
const partLists = 128

// Run ranks the candidates of every user. When ctx ends it stops within a prompt and keeps the parts that are finished.
func Run(ctx context.Context, o Options, p *progress.Printer) (stats Stats, err error) {
	model, err := Open(o.Model)
	if err != nil {
		return Stats{}, err
	}
	defer func() { err = errors.Join(err, model.Close()) }()
	stats.Provider = model.Provider()
	if err := atomicfile.Sweep(filepath.Join(o.Out, PartsFolder)); err != nil {
		return Stats{}, err
	}
	parts, err := rankParts(ctx, o, model, &stats, p)
	if err != nil {
		return Stats{}, err
	}
	if err := join(parts, filepath.Join(o.Out, RankingsFile)); err != nil {
		return Stats{}, err
	}
	if stats.Fusion, err = fuse(ctx, o); err != nil {
		return Stats{}, err
	}
	return stats, os.RemoveAll(filepath.Join(o.Out, PartsFolder))
}

// rankParts ranks what no earlier run has, and returns the paths of all parts.
func rankParts(ctx context.Context, o Options, model *Model, stats *Stats, p *progress.Printer) (parts []string, err error) {
	source, err := openRows(o.Sequences, o.Candidates)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, source.close()) }()
	bar := p.Start("rank", source.candidates.NumRows(), "lists")
	defer bar.Finish()
	for rows, err := range source.chunks(partLists) {
		if err != nil {
			return nil, err
		}
		part := filepath.Join(o.Out, PartsFolder, fmt.Sprintf("part-%06d.parquet", len(parts)))
		parts = append(parts, part)
		before := source.read - int64(len(rows)) // some of those read were not worth ranking
		tick := func(ranked int) { bar.Set(before+int64(ranked), "") }
		if err := rankPart(ctx, model, rows, part, stats, tick); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

// rankPart ranks one part, if it is not there.
func rankPart(ctx context.Context, model *Model, rows []Row, part string, stats *Stats, tick func(ranked int)) error {
	stats.Lists += int64(len(rows))
	if _, err := os.Stat(part); err == nil {
		stats.Resumed += int64(len(rows))
		cut, err := model.cut(rows)
		stats.Cut.Add(cut)
		return errors.Join(err, ctx.Err())
	}
	ranked, cut, err := model.Rank(ctx, rows, tick)
	if err != nil {
		return err
	}
	stats.Cut.Add(cut)
	return table.WriteAll(part, ranked)
}

// join writes the rows of all parts into one table.
func join(parts []string, path string) error {
	out, err := table.Create[table.Ranking](path)
	if err != nil {
		return err
	}
	defer out.Abort()
	for _, part := range parts {
		rows, err := table.ReadAll[table.Ranking](part)
		if err != nil {
			return err
		}
		if err := out.Write(rows...); err != nil {
			return err
		}
	}
	return out.Commit()
}

// Rank orders the candidates of every row by the language model, best first; scores are log probabilities. It is all that
// the stage does to rows, apart from the loop that feeds it. tick hears how many rows are done.
func (m *Model) Rank(ctx context.Context, rows []Row, tick func(ranked int)) ([]table.Ranking, prompt.Cut, error) {
	questions, err := m.questions(rows)
	if err != nil {
		return nil, prompt.Cut{}, err
	}
	var tally Tally
	ranked := make([]table.Ranking, 0, len(rows))
	for scores, err := range m.Answer(ctx, questions, &tally) {
		if err != nil { // the prompts' goroutine may still write to tally
			return nil, prompt.Cut{}, err
		}
		c := rows[len(ranked)].Candidates
		items, scores := sorted(c.Items, scores)
		ranked = append(ranked, table.Ranking{UserID: c.UserID, Split: c.Split, Label: c.Label, Items: items, Scores: scores})
		tick(len(ranked))
	}
	return ranked, tally.Cut, nil
}

// cut counts what the prompts of rows lose, without asking the model.
func (m *Model) cut(rows []Row) (prompt.Cut, error) {
	questions, err := m.questions(rows)
	var tally Tally
	for _, promptErr := range m.prompts(questions, &tally) {
		err = errors.Join(err, promptErr)
	}
	return tally.Cut, err
}

func mean(sum []float64, n int) []float32 {
	out := make([]float32, len(sum))
	for i, v := range sum {
		out[i] = float32(v / float64(n))
	}
	return out
}
