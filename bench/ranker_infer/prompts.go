package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"

	"mllm4rec/bench/beside"
	"mllm4rec/data/table"
	"mllm4rec/internal/atomicfile"
	"mllm4rec/pipeline/retrieve"
)

// input is the file that all sides work on.
type input struct {
	Letters []int32    `json:"letters"`
	Prefix  []int32    `json:"prefix"`
	Users   []question `json:"users"`
}

// question is a user's prompt, the same with the candidates in another order, and the letter of the answer in the first.
type question struct {
	Tokens []int32 `json:"tokens"`
	Again  []int32 `json:"again"`
	Label  int     `json:"label"`
}

// writePrompts asks for users' last items among the most popular ones that they have not taken yet, shuffled.
func writePrompts(ctx context.Context, o options, dir string) (input, error) {
	prompts, err := beside.OpenPrompts(ctx, o.gguf, o.history, dir)
	if err != nil {
		return input{}, err
	}
	in := input{Letters: prompts.Builder.Letters(), Prefix: prompts.Builder.Prefix()}
	var instruction []int32 // speed does not depend on its words
	for len(instruction)+len(in.Prefix) < o.instruction {
		instruction = append(instruction, in.Prefix[len(instruction)%len(in.Prefix)])
	}
	in.Prefix = slices.Concat(instruction, in.Prefix)
	popular, random := byPopularity(prompts), rand.New(rand.NewPCG(1, 2))
	tokens := 0
	for _, i := range random.Perm(len(prompts.Users))[:min(o.users, len(prompts.Users))] {
		q, err := ask(prompts, prompts.Users[i], popular, random)
		if err != nil {
			return input{}, err
		}
		q.Tokens, q.Again = slices.Concat(instruction, q.Tokens), slices.Concat(instruction, q.Again)
		in.Users = append(in.Users, q)
		tokens += len(q.Tokens)
	}
	fmt.Printf("%d prompts of %d tokens on average, the first %d the same in all; %d threads a side\n",
		len(in.Users), tokens/len(in.Users), len(in.Prefix), o.threads)
	text, err := json.Marshal(in)
	if err != nil {
		return input{}, err
	}
	return in, atomicfile.WriteFile(o.prompts, text)
}

// byPopularity orders the items by how many users took them before their last two.
func byPopularity(prompts *beside.Prompts) []int32 {
	taken, order := make([]int, prompts.Items()+1), make([]int32, prompts.Items())
	for _, user := range prompts.Users {
		for _, item := range user.Train {
			taken[item]++
		}
	}
	for i := range order {
		order[i] = int32(i + 1)
	}
	slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(taken[b], taken[a]) })
	return order
}

// ask makes the prompts of a user.
func ask(prompts *beside.Prompts, user table.Sequence, popular []int32, random *rand.Rand) (question, error) {
	past, list := retrieve.History(user, retrieve.Test), []int32{user.Test}
	for _, item := range popular {
		if len(list) < len(prompts.Builder.Letters()) && item != user.Test && !slices.Contains(past, item) {
			list = append(list, item)
		}
	}
	random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	tokens, err := prompts.Build(past, list)
	if err != nil {
		return question{}, err
	}
	label := slices.Index(list, user.Test)
	slices.Reverse(list)
	again, err := prompts.Build(past, list)
	return question{tokens, again, label}, err
}
