package serve

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strings"
)

// RerankBody is a RerankRequest with the fields that clients of the three services send beside it.
type RerankBody struct {
	RerankRequest
	RawScores           bool     `json:"raw_scores,omitempty" doc:"Scores are log probabilities instead of probabilities"`
	Truncate            *bool    `json:"truncate,omitempty" doc:"false: refuse what does not fit instead of cutting it"`
	TruncationDirection string   `json:"truncation_direction,omitempty" doc:"Not looked at: titles lose their end, histories their beginning"`
	RankFields          []string `json:"rank_fields,omitempty" doc:"Not looked at: a document has one field, text"`
	MaxChunksPerDoc     int      `json:"max_chunks_per_doc,omitempty" doc:"Not looked at"`
	MaxTokensPerDoc     int      `json:"max_tokens_per_doc,omitempty" doc:"Not looked at: the run's ranker.title_tokens counts"`
	Priority            int      `json:"priority,omitempty" doc:"Not looked at"`
}

// TextScore is a result in the form of Text Embeddings Inference.
type TextScore struct {
	Index int     `json:"index"`
	Score float32 `json:"score"`
	Text  *string `json:"text,omitempty"`
}

// DocumentScore is a result in the form of Jina and Cohere.
type DocumentScore struct {
	Index          int           `json:"index"`
	RelevanceScore float32       `json:"relevance_score"`
	Document       *DocumentText `json:"document,omitempty"`
}

// DocumentText is a document that was asked for.
type DocumentText struct {
	Text string `json:"text"`
}

// DocumentScores is an answer in the form of Jina and Cohere, with what every answer here says beside it.
type DocumentScores struct {
	ID      string          `json:"id" doc:"The request id"`
	Model   string          `json:"model" doc:"Fingerprint of the language model"`
	Results []DocumentScore `json:"results"`
	Usage   Usage           `json:"usage"`
	Cut     Cut             `json:"cut"`
	Models  Models          `json:"models"`
	Timings Timings         `json:"timings_ms"`
}

// Usage is what a request came to, as Jina tells it: some of its clients take no answer without.
type Usage struct {
	TotalTokens int `json:"total_tokens" doc:"Tokens of all prompts"`
}

func (s *Server) rerank() task[RerankBody] {
	return task[RerankBody]{
		class: classRank,
		check: checkRerank,
		do: func(ctx context.Context, m *models, r *RerankBody) (any, error) {
			return answered(m.Rerank(ctx, r.RerankRequest))
		},
		form: rerankAnswer,
	}
}

func checkRerank(r *RerankBody, _ Limits) error {
	switch {
	case strings.TrimSpace(r.Query) == "":
		return malformed("query", "is empty; each line of it is an item of the history, oldest first")
	case len(r.Texts) > 0 && len(r.Documents) > 0:
		return malformed("documents", "give texts or documents, not both")
	case len(r.Texts) == 0 && len(r.Documents) == 0:
		return malformed("texts", "is empty; give the candidates' titles in texts or in documents")
	case r.TopN < 0:
		return malformed("top_n", fmt.Sprintf("%d is below 0", r.TopN))
	default:
		return nil
	}
}

// rerankAnswer puts a Reranking into the form that the client reads.
func rerankAnswer(w http.ResponseWriter, r *RerankBody, answer any) (any, error) {
	ranking := answer.(*Reranking)
	if ranking.Cut != (Cut{}) {
		if r.Truncate != nil && !*r.Truncate {
			return nil, &Error{Status: http.StatusUnprocessableEntity, Code: codeTooLong, Field: "truncate", Detail: "the prompt does not hold everything: " + cutText(ranking.Cut)}
		}
		w.Header().Set("X-Truncated", cutText(ranking.Cut)) // a bare list has no room for it
	}
	results := ranking.Results
	if r.TopN > 0 {
		results = results[:min(r.TopN, len(results))]
	}
	if len(r.Texts) > 0 {
		return textScores(r, results)
	}
	scores := DocumentScores{
		ID: w.Header().Get("X-Request-Id"), Model: ranking.Models.Ranker, Results: make([]DocumentScore, len(results)), Usage: Usage{ranking.Tokens},
		Cut: ranking.Cut, Models: ranking.Models, Timings: ranking.Timings,
	}
	for i, result := range results {
		if result.Index < 0 || result.Index >= len(r.Documents) {
			return nil, fmt.Errorf("the backend ranked document %d of %d", result.Index, len(r.Documents))
		}
		scores.Results[i] = DocumentScore{Index: result.Index, RelevanceScore: r.score(result.Score)}
		if r.ReturnDocuments {
			scores.Results[i].Document = &DocumentText{r.Documents[result.Index].Text}
		}
	}
	return scores, nil
}

func textScores(r *RerankBody, results []Reranked) (any, error) {
	scores := make([]TextScore, len(results))
	for i, result := range results {
		if result.Index < 0 || result.Index >= len(r.Texts) {
			return nil, fmt.Errorf("the backend ranked text %d of %d", result.Index, len(r.Texts))
		}
		scores[i] = TextScore{Index: result.Index, Score: r.score(result.Score)}
		if r.ReturnText || r.ReturnDocuments {
			scores[i].Text = &r.Texts[result.Index]
		}
	}
	return scores, nil
}

// score is a probability, or its logarithm where raw scores were asked for.
func (r *RerankBody) score(probability float32) float32 {
	if !r.RawScores {
		return probability
	}
	return float32(math.Log(max(float64(probability), math.SmallestNonzeroFloat32)))
}

func cutText(cut Cut) string {
	return fmt.Sprintf("titles=%d, captions=%d, history=%d", cut.Titles, cut.Captions, cut.History)
}
