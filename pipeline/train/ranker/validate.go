package ranker

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"mllm4rec/data/metric"
	"mllm4rec/data/prompt"
	"mllm4rec/data/table"
	"mllm4rec/internal/fail"
	"mllm4rec/pipeline/worker"
)

// check is a user whose answer the retriever has found, as a prompt.
type check struct {
	user       int32
	candidates []int32 // in the order of their letters
	label      int     // among the candidates
	tokens     []int32
}

// readChecks reads the split "val" of candidates.parquet, draws who takes part, and makes their prompts.
func readChecks(ctx context.Context, spec worker.RankerSpec, data *sequences, p *prompts) ([]check, error) {
	var checks []check
	err := eachRow(ctx, spec.Validation, func(_ int, row table.Candidates) error {
		user, ok := data.place[row.UserID]
		if row.Split != "val" || !ok || len(data.train[user]) == 0 {
			return nil
		}
		candidates := slices.Clip(row.Items[:min(len(row.Items), spec.Candidates)])
		for _, item := range candidates {
			if item < 1 || int(item) > p.items() {
				return fail.Usagef("item %d is not in the catalogue of %d items", item, p.items())
			}
		}
		if slices.Contains(candidates, row.Label) {
			checks = append(checks, newCheck(spec, row.UserID, candidates, row.Label))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(checks) == 0 {
		return nil, fail.Usagef("%s: no user has the right item among the first %d candidates of the split val, so nothing can be validated; "+
			"raise candidates.k or train the retriever longer", spec.Validation, spec.Candidates)
	}
	checks = draw(checks, spec.ValidationUsers, uint64(spec.Seed))
	for i, c := range checks {
		if checks[i].tokens, err = p.tokens(data.train[data.place[c.user]], c.candidates); err != nil {
			return nil, fmt.Errorf("validation prompt of user %d: %w", c.user, err)
		}
	}
	return checks, nil
}

func newCheck(spec worker.RankerSpec, user int32, candidates []int32, answer int32) check {
	if spec.Order == "shuffled" {
		best := slices.Clone(candidates)
		for i, j := range prompt.Shuffle(len(best), spec.Seed, user, 0) {
			candidates[i] = best[j]
		}
	}
	return check{user: user, candidates: candidates, label: slices.Index(candidates, answer)}
}

// draw picks count of the checks (0: all), in the order of users.
func draw(checks []check, count int, seed uint64) []check {
	if count == 0 || count >= len(checks) {
		return checks
	}
	random := rand.New(rand.NewPCG(seed, 5))
	random.Shuffle(len(checks), func(i, j int) { checks[i], checks[j] = checks[j], checks[i] })
	checks = checks[:count]
	slices.SortFunc(checks, func(a, b check) int { return cmp.Compare(a.user, b.user) })
	return checks
}

// Validate ranks the candidates of all checks and returns "ndcg@10", "mrr@10" and "recall@1", means over users.
func (t *task) Validate(ctx context.Context) (map[string]float64, error) {
	var mean metric.Mean
	for rest := t.checks; len(rest) > 0; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		some := rest[:min(len(rest), mostPrompts)]
		tokens := make([][]int32, len(some))
		for i, c := range some {
			tokens[i] = c.tokens
		}
		n := t.model.Fit(tokens, 1)
		logits, err := t.model.Score(ctx, tokens[:n])
		if err != nil {
			return nil, err
		}
		for i, c := range some[:n] {
			mean.Add(metric.Rank(t.prompts.scores(logits[i], len(c.candidates)), c.label))
		}
		rest = rest[n:]
	}
	values := map[string]float64{}
	for _, v := range mean.Values() {
		if name := fmt.Sprintf("%s@%d", v.Metric, v.K); name == "ndcg@10" || name == "mrr@10" || name == "recall@1" {
			values[name] = v.Value
		}
	}
	return values, nil
}
