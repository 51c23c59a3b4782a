package recommend

import (
	"context"
	"time"

	"mllm4rec/runtime/retrieve"
	"mllm4rec/runtime/serve"
)

// Retrieve answers with the retriever's order alone; for somebody without a history with what is popular.
func (b *Backend) Retrieve(ctx context.Context, r serve.RetrieveRequest) (*serve.Ranking, error) {
	k, err := b.size(r.K, b.options.K)
	if err != nil {
		return nil, err
	}
	t := begin()
	q, err := b.read(r.UserID, r.History, r.Exclude, r.Categories)
	if err != nil {
		return nil, err
	}
	return b.proposals(ctx, q, k, t)
}

// proposals are n items by the retriever, or by popularity where there is no history that it knows.
func (b *Backend) proposals(ctx context.Context, q query, n int, t *told) (*serve.Ranking, error) {
	answer := &serve.Ranking{RankedBy: serve.ByRetriever, Unknown: q.unknown, HistoryUsed: serve.HistoryUsed{Given: q.given}}
	if len(q.history) == 0 {
		answer.RankedBy = serve.ByPopularity
		for _, item := range b.popular(q.filter, n) {
			answer.Items = append(answer.Items, b.ranked(item))
		}
		return finish(answer, t), nil
	}
	begun := time.Now()
	list, err := b.propose(ctx, q.history, q.filter, n)
	t.retrieve = time.Since(begun)
	if err != nil {
		return nil, err
	}
	answer.HistoryUsed.Retriever = min(len(q.history), b.retriever.MaxLength())
	answer.Models.Retriever = b.models.Retriever
	places := make([]int, len(list.Items)) // one allocation for all that are pointed to
	answer.Items = make([]serve.Ranked, len(list.Items))
	for i, item := range list.Items {
		places[i] = i + 1
		answer.Items[i] = b.ranked(item)
		answer.Items[i].RetrieverRank, answer.Items[i].RetrieverScore = &places[i], &list.Scores[i]
	}
	return finish(answer, t), nil
}

// step is how many times more the retriever is asked for where the filter left too few.
const step = 8

// propose are the retriever's n best items that the filter allows, none of the history among them. It asks for as many
// more as are excluded. Where categories leave too few of those, it asks for 8 times as many, and so on: at most
// 1 + log₈(catalogue / n) runs, the last one over the whole catalogue.
func (b *Backend) propose(ctx context.Context, history []int32, f filter, n int) (retrieve.Ranked, error) {
	for k := n + len(f.excluded); ; k *= step {
		all, err := b.batcher.TopK(ctx, history, k)
		if err != nil {
			return retrieve.Ranked{}, err
		}
		if best := f.best(all, n); len(best.Items) == n || k >= b.items.size() {
			return best, nil
		}
	}
}

// popular are the n items with the most interactions that the filter allows.
func (b *Backend) popular(f filter, n int) (items []int32) {
	for _, item := range b.items.popular {
		if len(items) == n {
			break
		}
		if f.allows(item) {
			items = append(items, item)
		}
	}
	return items
}

func (b *Backend) ranked(item int32) serve.Ranked {
	_, picture := b.items.pictures[item]
	return serve.Ranked{ItemID: item, SourceID: b.items.sources[item], Title: b.items.titles[item], HasPicture: picture}
}

// finish numbers the items and looks at the watch.
func finish(answer *serve.Ranking, t *told) *serve.Ranking {
	for i := range answer.Items {
		answer.Items[i].Rank = i + 1
	}
	if answer.Items == nil {
		answer.Items = []serve.Ranked{}
	}
	answer.Cut, answer.Timings = t.cut(), t.timings()
	answer.HistoryUsed.Ranker = t.tally.History
	return answer
}
