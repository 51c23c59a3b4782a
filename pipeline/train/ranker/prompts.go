package ranker

import (
	"fmt"

	"mllm4rec/data/prompt"
	"mllm4rec/data/tokenizer"
	"mllm4rec/export/llama"
	"mllm4rec/internal/fail"
	"mllm4rec/pipeline/train/lora"
	"mllm4rec/pipeline/worker"
)

// prompts makes the model's input of item ids.
type prompts struct {
	*prompt.Builder
	template *prompt.Template
	tok      *tokenizer.Tokenizer
	texts    []prompt.Text // by item id; 0 is unused
	causal   bool
	cut      prompt.Cut // from all prompts so far
}

func openPrompts(spec worker.RankerSpec, base *llama.Checkpoint) (p *prompts, err error) {
	p = &prompts{causal: spec.Loss == "causal"}
	path := spec.Tokenizer
	if path == "" {
		path = spec.Base
	}
	if p.tok, err = tokenizer.Open(path); err != nil {
		return nil, err
	}
	if size := base.Config().VocabSize; p.tok.VocabSize() > size {
		return nil, fail.Usagef("%s has %d tokens, the model %s knows %d: vocabulary of another model", path, p.tok.VocabSize(), spec.Base, size)
	}
	if p.causal && p.tok.EOS() < 0 {
		return nil, fail.Usagef("%s names no token that ends a text, which the loss causal needs; the loss verbalizer does not", path)
	}
	if p.template, err = prompt.Load(spec.Template); err != nil {
		return nil, err
	}
	limits := prompt.Limits{History: spec.History, TextTokens: spec.TextTokens, PromptTokens: spec.PromptTokens}
	if most := base.Config().MaxPositions; limits.PromptTokens > most {
		limits.PromptTokens = most
	}
	if p.Builder, err = prompt.New(p.tok, p.template, limits, spec.Candidates); err != nil {
		return nil, err
	}
	if p.texts, err = p.ReadItems(spec.Items, spec.Captions, spec.CaptionsOnly); err != nil {
		return nil, err
	}
	if p.items() < 2 {
		return nil, fail.Usagef("%s: a catalogue of %d items leaves nothing to choose", spec.Items, p.items())
	}
	return p, nil
}

// items is the size of the catalogue.
func (p *prompts) items() int { return len(p.texts) - 1 }

// head is what the model's head computes: the letters, or (nil) the whole vocabulary.
func (p *prompts) head() []int32 {
	if p.causal {
		return nil
	}
	return p.Letters()
}

// answers is how many tokens of a sample are learned.
func (p *prompts) answers() int {
	if p.causal {
		return 2
	}
	return 1
}

// tokens are those of a prompt.
func (p *prompts) tokens(history, candidates []int32) ([]int32, error) {
	made, err := p.Build(p.textsOf(history), p.textsOf(candidates))
	p.cut.Add(made.Cut)
	return made.Tokens, err
}

// sample is a prompt with its answers: the letters alone, or, in a causal one, the letter, which is then read too, and the end
// of the text. labels are the places of the right candidates.
func (p *prompts) sample(history, candidates, labels []int32) (lora.Sample, error) {
	tokens, err := p.tokens(history, candidates)
	if err != nil {
		return lora.Sample{}, fmt.Errorf("training prompt: %w", err)
	}
	if !p.causal {
		return lora.Sample{Tokens: tokens, Answers: labels[:1], Choices: len(candidates), Also: labels[1:]}, nil
	}
	letter := p.Letters()[labels[0]]
	return lora.Sample{Tokens: append(tokens, letter), Answers: []int32{letter, p.tok.EOS()}}, nil
}

// scores picks those of n candidates out of the head's logits.
func (p *prompts) scores(logits []float32, n int) []float32 {
	if !p.causal {
		return logits[:n]
	}
	scores := make([]float32, n)
	for i, letter := range p.Letters()[:n] {
		scores[i] = logits[letter]
	}
	return scores
}

func (p *prompts) textsOf(items []int32) []prompt.Text {
	texts := make([]prompt.Text, len(items))
	for i, item := range items {
		texts[i] = p.texts[item]
	}
	return texts
}
