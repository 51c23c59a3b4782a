package main

import (
	"context"
	"errors"
	"time"

	"mllm4rec/data/prompt"
	pipelinerank "mllm4rec/pipeline/rank"
	"mllm4rec/pipeline/recommend"
	"mllm4rec/runtime/rank"
	"mllm4rec/runtime/retrieve"
)

// bare are the models of the run in this process, without a service around them.
type bare struct {
	retriever *retrieve.Retriever
	ranker    *pipelinerank.Model // nil where the run has none
}

func openBare(o recommend.Options, ranker bool) (b *bare, err error) {
	b = &bare{}
	if b.retriever, err = retrieve.Open(o.Dir+"/retriever.onnx", o.ORT); err != nil || !ranker || o.Ranker == nil {
		return b, err
	}
	if b.ranker, err = pipelinerank.Open(*o.Ranker); err != nil {
		return nil, errors.Join(err, b.retriever.Close())
	}
	b.ranker.Ranker().Keep(o.CacheBytes) // as the service does
	return b, nil
}

func (b *bare) close() error {
	err := b.retriever.Close()
	if b.ranker != nil {
		err = errors.Join(err, b.ranker.Close())
	}
	return err
}

// retrieves are the times of single calls, one after the other.
func (b *bare) retrieves(ctx context.Context, histories [][]int32) (times []time.Duration, err error) {
	for _, history := range histories {
		began := time.Now()
		if _, err := b.retriever.TopK(ctx, [][]int32{history}, topK); err != nil {
			return nil, err
		}
		times = append(times, time.Since(began))
	}
	return times, nil
}

// prompts are those that the service makes of the questions.
func (b *bare) prompts(q questions) (all []rank.Prompt, texts []string, err error) {
	for i := range q.histories {
		built, err := b.ranker.Prompt(pipelinerank.Question{History: b.pick(q.histories[i]), Candidates: b.pick(q.candidates[i])})
		if err != nil {
			return nil, nil, err
		}
		all, texts = append(all, rank.Prompt{Tokens: built.Tokens, Shared: built.Shared}), append(texts, b.ranker.Builder().Text(built))
	}
	return all, texts, nil
}

func (b *bare) pick(items []int32) (texts []prompt.Text) {
	for _, item := range items {
		texts = append(texts, b.ranker.Texts()[item])
	}
	return texts
}
