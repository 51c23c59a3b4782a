package recommend

import (
	"context"
	"strings"

	"mllm4rec/data/prompt"
	"mllm4rec/runtime/serve"
)

// Rerank orders texts by the language model: each line of the query is an item of a history, each text the title of a
// candidate. Scores are probabilities over all texts. More than a prompt has letters are ranked in rounds, and the last
// group's probabilities are spread over those that left (see masses), none getting more than the one above it.
func (b *Backend) Rerank(ctx context.Context, r serve.RerankRequest) (*serve.Reranking, error) {
	t := begin()
	if err := b.needRanker(); err != nil {
		return nil, err
	}
	history, err := b.lines(r.Query, t)
	if err != nil {
		return nil, err
	}
	candidates, err := b.candidatesOf(r)
	if err != nil {
		return nil, err
	}
	order, _, err := b.play(ctx, history, candidates, t)
	if err != nil {
		return nil, err
	}
	answer := &serve.Reranking{Tokens: t.tally.Tokens, Cut: serve.Cut(t.tally.Cut), Models: serve.Models{Ranker: b.models.Ranker}, Timings: t.timings()}
	for i, p := range probabilities(order) {
		answer.Results = append(answer.Results, serve.Reranked{Index: order[i].at, Score: p})
	}
	if r.TopN > 0 && r.TopN < len(answer.Results) {
		answer.Results = answer.Results[:r.TopN]
	}
	return answer, nil
}

// lines are the items of a query. Only the latest are put into tokens: no prompt would hold the others, which t counts as cut.
func (b *Backend) lines(query string, t *told) ([]prompt.Text, error) {
	var titles []string
	for line := range strings.Lines(query) {
		if title := strings.TrimSpace(line); title != "" {
			titles = append(titles, title)
		}
	}
	if len(titles) == 0 {
		return nil, refused(emptyHistory, "query", "it has no line: each is an item of a history")
	}
	if err := tooMany("query", len(titles), maxHistory); err != nil {
		return nil, err
	}
	cut := max(0, len(titles)-b.ranker.Limits.History)
	t.tally.Cut.History += cut
	return b.tokenised(titles[cut:]), nil
}

func (b *Backend) candidatesOf(r serve.RerankRequest) ([]prompt.Text, error) {
	field, titles := "texts", r.Texts
	switch {
	case len(r.Texts) > 0 && len(r.Documents) > 0:
		return nil, malformed("documents", "give texts or documents, not both")
	case len(r.Texts)+len(r.Documents) == 0:
		return nil, refused(noCandidates, "texts", "there is no text to rank")
	case r.TopN < 0:
		return nil, refused(outOfRange, "top_n", "%d texts; give 1 or more, or 0 for all", r.TopN)
	}
	if len(r.Documents) > 0 {
		field = "documents"
		for _, d := range r.Documents {
			titles = append(titles, d.Text)
		}
	}
	if err := tooMany(field, len(titles), maxCandidates); err != nil {
		return nil, err
	}
	return b.tokenised(titles), nil
}

// tokenised puts titles into tokens.
func (b *Backend) tokenised(titles []string) []prompt.Text {
	texts := make([]prompt.Text, len(titles))
	for i, title := range titles {
		texts[i] = b.ranker.Builder().Item(title, "")
	}
	return texts
}
