// Package prompt asks a language model which candidate comes next: templates, titles and captions flow in, the tokens of
// prompts flow out, and the tokens of the letters that the model answers with (the verbalizer of LlamaRec, arXiv
// 2311.02089: nothing is generated, the letters' logits rank the candidates).
//
// A prompt is put together of pieces that are encoded once each: the template's, cut at the items, and the items. So
// training and inference have the same tokens, and nothing is tokenised twice. What the template says may hold markup
// ("<|im_start|>"); titles and captions are data: plain text on one line, whatever they spell. docs/prompts.md has the
// rules.
package prompt

import (
	"mllm4rec/internal/fail"
)

// Limits are how long a prompt may become.
type Limits struct {
	// History is how many items of a history are used, the latest ones.
	History int
	// TextTokens is how many tokens a title has at most, and a caption.
	TextTokens int
	// PromptTokens is how many tokens a prompt has at most: the oldest items of the history give way, candidates never.
	PromptTokens int
}

// Prompt is what the model reads; the letter of its answer is the next token.
type Prompt struct {
	Tokens []int32
	Cut    Cut
	// Items is how many items of the history it holds. The first Shared tokens depend on them alone: they are those of every
	// prompt with the same ones, whatever its candidates.
	Items, Shared int
}

// Cut counts what a prompt, or many of them, had to leave out.
type Cut struct {
	// Titles and Captions were longer than Limits.TextTokens.
	Titles   int `json:"titles"`
	Captions int `json:"captions"`
	// History are the items that Limits.PromptTokens left no room for.
	History int `json:"history"`
}

// Add adds what another prompt left out.
func (c *Cut) Add(other Cut) {
	c.Titles += other.Titles
	c.Captions += other.Captions
	c.History += other.History
}

func (c *Cut) addText(t Text) {
	if t.titleCut {
		c.Titles++
	}
	if t.captionCut {
		c.Captions++
	}
}

// Build makes the prompt of a history, oldest item first, and of the candidates in the order of their letters. No
// history, no candidates, more than there are letters, or so long ones that not even the latest item of the history fits
// are usage errors.
func (b *Builder) Build(history, candidates []Text) (Prompt, error) {
	switch {
	case len(history) == 0:
		return Prompt{}, fail.Usagef("the history is empty: there is nothing to rank by")
	case len(candidates) == 0 || len(candidates) > len(b.letters):
		return Prompt{}, fail.Usagef("%d candidates, and the prompt has room for 1 to %d", len(candidates), len(b.letters))
	}
	history = history[max(0, len(history)-b.limits.History):]
	fixed := b.length(candidates) + len(history[len(history)-1].tokens)
	if fixed > b.limits.PromptTokens {
		return Prompt{}, fail.Usagef("%d candidates and the latest item of the history take %d tokens, more than %d: raise ranker.max_tokens, or lower ranker.title_tokens",
			len(candidates), fixed, b.limits.PromptTokens)
	}
	length, n := fixed, 1
	for ; n < len(history); n++ {
		more := len(b.numbers[n]) + len(history[len(history)-1-n].tokens)
		if length+more > b.limits.PromptTokens {
			break
		}
		length += more
	}
	p := Prompt{Tokens: make([]int32, 0, length), Cut: Cut{History: len(history) - n}, Items: n}
	p.add(b.numbers, history[len(history)-n:])
	p.Shared = len(p.Tokens) + len(b.options[0])
	p.add(b.options, candidates)
	p.Tokens = append(p.Tokens, b.cues[len(candidates)-1]...)
	return p, nil
}

// add appends items, each behind its head.
func (p *Prompt) add(heads [][]int32, items []Text) {
	for i, item := range items {
		p.Tokens = append(append(p.Tokens, heads[i]...), item.tokens...)
		p.Cut.addText(item)
	}
}

// length is the number of tokens without the items of the history and what stands before all but the first.
func (b *Builder) length(candidates []Text) int {
	n := len(b.numbers[0]) + len(b.cues[len(candidates)-1])
	for i, item := range candidates {
		n += len(b.options[i]) + len(item.tokens)
	}
	return n
}
