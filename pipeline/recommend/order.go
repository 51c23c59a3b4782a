package recommend

import (
	"cmp"
	"context"
	"slices"
	"time"

	"mllm4rec/data/prompt"
	"mllm4rec/pipeline/rank"
	"mllm4rec/runtime/serve"
)

// Recommend answers what comes next. With ranking by llm or fusion the retriever's Options.K best come in that order, and
// those beyond keep the retriever's behind them.
func (b *Backend) Recommend(ctx context.Context, r serve.RecommendRequest) (*serve.Ranking, error) {
	const defaultK = 10
	k, err := b.size(r.K, defaultK)
	if err != nil {
		return nil, err
	}
	by, err := b.rankBy(r.Rank)
	if err != nil {
		return nil, err
	}
	t := begin()
	q, err := b.read(r.UserID, r.History, r.Exclude, r.Categories)
	if err != nil {
		return nil, err
	}
	if by == serve.ByRetriever {
		return b.proposals(ctx, q, k, t)
	}
	answer, err := b.proposals(ctx, q, max(k, b.options.K), t)
	if err != nil {
		return nil, err
	}
	if answer.RankedBy == serve.ByRetriever && len(answer.Items) > 0 {
		if err := b.reorder(ctx, answer, q, by, t); err != nil {
			return nil, err
		}
	}
	answer.Items = answer.Items[:min(k, len(answer.Items))]
	return finish(answer, t), nil
}

// rankBy says who orders the candidates.
func (b *Backend) rankBy(asked serve.RankBy) (serve.RankBy, error) {
	switch asked {
	case "":
		if b.fusion != nil {
			return serve.ByFusion, nil
		}
		return serve.ByRetriever, nil
	case serve.ByRetriever:
	case serve.ByLLM, serve.ByFusion:
		if err := b.needRanker(); err != nil {
			return "", err
		}
		if asked == serve.ByFusion && b.fusion == nil {
			return "", refused(noRanker, "rank", "the run has no %s, which `mllm4rec rank` writes; ask for llm or none", rank.FusionFile)
		}
	default:
		return "", malformed("rank", "%.40q orders nothing; give none, llm or fusion", string(asked))
	}
	return asked, nil
}

func (b *Backend) needRanker() error {
	if b.ranker == nil {
		return refused(noRanker, "", "the run has no language model: the retriever alone is served")
	}
	return nil
}

// reorder sorts the first items of an answer.
func (b *Backend) reorder(ctx context.Context, answer *serve.Ranking, q query, by serve.RankBy, t *told) error {
	head := answer.Items[:min(b.options.K, b.letters(), len(answer.Items))]
	list := rank.List{}
	for _, item := range head {
		list.Items, list.Retriever = append(list.Items, item.ItemID), append(list.Retriever, *item.RetrieverScore)
	}
	scores, err := b.ask(ctx, []rank.Question{{History: b.texts(q.history), Candidates: b.texts(list.Items), User: q.user}}, t)
	if err != nil {
		return err
	}
	list.Ranker = scores[0]
	deciding := list.Ranker
	for i := range head {
		head[i].RankerScore = &list.Ranker[i]
	}
	if by == serve.ByFusion {
		deciding = b.fusion.Scores(list)
		for i := range head {
			head[i].FusedScore = &deciding[i]
		}
	}
	score := func(r serve.Ranked) float32 { return deciding[*r.RetrieverRank-1] }
	slices.SortStableFunc(head, func(x, y serve.Ranked) int { return cmp.Compare(score(y), score(x)) })
	answer.RankedBy, answer.Models.Ranker = by, b.models.Ranker
	return nil
}

// texts are items as they stand in prompts.
func (b *Backend) texts(items []int32) []prompt.Text {
	all := make([]prompt.Text, len(items))
	for i, item := range items {
		all[i] = b.ranker.Texts()[item]
	}
	return all
}

// ask asks the language model: log probabilities of each question's candidates.
func (b *Backend) ask(ctx context.Context, questions []rank.Question, t *told) (scores [][]float32, err error) {
	begun, before := time.Now(), t.tally
	for answer, err := range b.ranker.Answer(ctx, questions, &t.tally) {
		if err != nil {
			return nil, asRefusal(err)
		}
		scores = append(scores, answer)
	}
	t.asking += time.Since(begun)
	b.options.Observe.Batch("ranker", t.tally.Prompts-before.Prompts, t.tally.Tokens-before.Tokens)
	b.tellCache()
	return scores, nil
}
