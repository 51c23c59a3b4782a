package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"

	"mllm4rec/bench/beside"
	"mllm4rec/internal/atomicfile"
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

// writeSamples makes prompts of random users and positions, with random wrong candidates.
func writeSamples(ctx context.Context, o options, dir string) error {
	prompts, err := beside.OpenPrompts(ctx, o.gguf, o.history, dir)
	if err != nil {
		return err
	}
	builder := prompts.Builder
	made := data{Letters: builder.Letters(), Steps: make([][]sample, o.steps)}
	random, tokens := rand.New(rand.NewPCG(1, 1)), 0
	for step := range made.Steps {
		for range o.batch {
			s, err := draw(prompts, prompts.Users[random.IntN(len(prompts.Users))].Train, random)
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

// draw makes a prompt of a random position of a user.
func draw(prompts *beside.Prompts, train []int32, random *rand.Rand) (sample, error) {
	position := 2 + random.IntN(len(train)-2)
	candidates := []int32{train[position]}
	for len(candidates) < len(prompts.Builder.Letters()) {
		candidates = append(candidates, int32(1+random.IntN(prompts.Items())))
	}
	label := random.IntN(len(candidates))
	candidates[0], candidates[label] = candidates[label], candidates[0]
	tokens, err := prompts.Build(train[:position], candidates)
	return sample{tokens, label}, err
}
