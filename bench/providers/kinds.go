package main

import (
	"context"
	"math/rand/v2"

	"mllm4rec/runtime/caption"
	"mllm4rec/runtime/ort"
	"mllm4rec/runtime/rank"
	"mllm4rec/runtime/retrieve"
)

// kind is a kind of model: how to open one for its random input, which is the same every time.
type kind struct {
	name  string
	count int // histories, prompts or pictures
	open  func(file string, o ort.Options, flags options) (run func(context.Context) (given, error), closeModel func() error, err error)
}

const (
	histories, historyLength, retrieved = 2048, 50, 20
	prompts, promptLength               = 64, 500
	photographs                         = 32
)

var kinds = []kind{{"retriever", histories, openRetriever}, {"ranker", prompts, openRanker}, {"captioner", photographs, openCaptioner}}

func random() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// openRetriever asks for the best items behind histories of 1 to 50 items.
func openRetriever(file string, o ort.Options, _ options) (func(context.Context) (given, error), func() error, error) {
	r, err := retrieve.Open(file, o)
	if err != nil {
		return nil, nil, err
	}
	draw, input := random(), make([][]int32, histories)
	for i := range input {
		for range 1 + draw.IntN(historyLength) {
			input[i] = append(input[i], 1+draw.Int32N(int32(r.NumItems())))
		}
	}
	return func(ctx context.Context) (g given, err error) {
		lists, err := r.TopK(ctx, input, retrieved)
		for _, list := range lists {
			g.choices, g.scores = append(g.choices, list.Items...), append(g.scores, list.Scores...)
		}
		return g, err
	}, r.Close, nil
}

// openRanker scores prompts of 250 to 500 tokens.
func openRanker(file string, o ort.Options, _ options) (func(context.Context) (given, error), func() error, error) {
	r, err := rank.Open(file, o)
	if err != nil {
		return nil, nil, err
	}
	draw, input, letters := random(), make([]rank.Prompt, prompts), r.LetterTokens()
	for i := range input {
		for range promptLength/2 + draw.IntN(promptLength/2) {
			input[i].Tokens = append(input[i].Tokens, letters[draw.IntN(len(letters))])
		}
	}
	return func(ctx context.Context) (g given, err error) {
		all, err := r.Score(ctx, input)
		for _, scores := range all {
			best := 0
			for i, v := range scores {
				if v > scores[best] {
					best = i
				}
			}
			g.choices, g.scores = append(g.choices, int32(best)), append(g.scores, scores...)
		}
		return g, err
	}, r.Close, nil
}

// openCaptioner captions pictures of noise.
func openCaptioner(file string, o ort.Options, flags options) (func(context.Context) (given, error), func() error, error) {
	c, err := caption.Open(file, o)
	if err != nil {
		return nil, nil, err
	}
	draw, each := random(), 3*c.Pictures().Size*c.Pictures().Size
	pixels := make([]float32, photographs*each)
	for i := range pixels {
		pixels[i] = float32(draw.NormFloat64())
	}
	return func(ctx context.Context) (g given, err error) {
		for at := 0; at < photographs; at += flags.batch {
			captions, err := c.Generate(ctx, pixels[at*each:min(at+flags.batch, photographs)*each], caption.Options{})
			if err != nil {
				return g, err
			}
			for _, ids := range captions {
				g.choices = append(g.choices, ids...)
			}
		}
		return g, nil
	}, c.Close, nil
}
