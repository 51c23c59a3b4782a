package recommend

import (
	"context"
	"slices"

	"mllm4rec/data/prompt"
	"mllm4rec/pipeline/rank"
	"mllm4rec/runtime/serve"
)

// Rank orders candidates by the language model. More than a prompt has letters are ranked in rounds; see tournament. A
// candidate that is named twice is ranked once.
func (b *Backend) Rank(ctx context.Context, r serve.RankRequest) (*serve.Ranking, error) {
	t := begin()
	q, candidates, err := b.readRank(r)
	if err != nil {
		return nil, err
	}
	order, rounds, err := b.play(ctx, b.texts(q.history), b.texts(candidates), t)
	if err != nil {
		return nil, err
	}
	answer := &serve.Ranking{
		RankedBy: serve.ByLLM, Unknown: q.unknown, HistoryUsed: serve.HistoryUsed{Given: q.given}, Rounds: rounds, Models: serve.Models{Ranker: b.models.Ranker},
	}
	for i, p := range order {
		answer.Items = append(answer.Items, b.ranked(candidates[p.at]))
		answer.Items[i].RankerScore = &order[i].score
	}
	return finish(answer, t), nil
}

// readRank looks up what the language model is asked.
func (b *Backend) readRank(r serve.RankRequest) (q query, candidates []int32, err error) {
	if err := b.needRanker(); err != nil {
		return q, nil, err
	}
	if err := tooMany("candidates", len(r.Candidates), maxCandidates); err != nil {
		return q, nil, err
	}
	if err := q.setHistory(b.items, r.History); err != nil {
		return q, nil, err
	}
	if len(q.history) == 0 {
		return q, nil, refused(emptyHistory, "history", "none of its %d items is known: there is nothing to rank by", q.given)
	}
	known, unknown := b.items.resolve(r.Candidates)
	q.unknown = append(q.unknown, unknown...)
	for _, item := range known {
		if !slices.Contains(candidates, item) {
			candidates = append(candidates, item)
		}
	}
	if len(candidates) == 0 {
		return q, nil, refused(noCandidates, "candidates", "none of the %d is known: there is nothing to rank", len(r.Candidates))
	}
	return q, candidates, nil
}

// play orders candidates in as many rounds as it takes.
func (b *Backend) play(ctx context.Context, history, candidates []prompt.Text, t *told) ([]placed, int, error) {
	return tournament(len(candidates), b.letters(), func(groups [][]int) ([][]float32, error) {
		questions := make([]rank.Question, len(groups))
		for i, group := range groups {
			questions[i].History = history
			for _, at := range group {
				questions[i].Candidates = append(questions[i].Candidates, candidates[at])
			}
		}
		return b.ask(ctx, questions, t)
	})
}

// Prompt is what the language model reads for as many candidates as one prompt holds.
func (b *Backend) Prompt(_ context.Context, r serve.RankRequest) (*serve.Prompt, error) {
	q, candidates, err := b.readRank(r)
	if err != nil {
		return nil, err
	}
	if err := tooMany("candidates", len(candidates), b.letters()); err != nil {
		return nil, err
	}
	built, err := b.ranker.Prompt(rank.Question{History: b.texts(q.history), Candidates: b.texts(candidates)})
	if err != nil {
		return nil, asRefusal(err)
	}
	return &serve.Prompt{Text: b.ranker.Builder().Text(built), Tokens: len(built.Tokens), Cut: serve.Cut(built.Cut)}, nil
}
