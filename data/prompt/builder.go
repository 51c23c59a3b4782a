package prompt

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"mllm4rec/data/tokenizer"
	"mllm4rec/internal/fail"
)

// Letters name the candidates, the first one A.
const Letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// Builder makes prompts of one template for one tokenizer. Its methods may be called at once from several goroutines.
type Builder struct {
	tok      *tokenizer.Tokenizer
	template *Template
	limits   Limits

	// numbers[i] stands before item i of the history, options[i] before candidate i, cues[i] behind it where it is the last
	// one. What parts two items, newline included, is one piece with the head of the second; numbers[0] begins the prompt.
	numbers, options, cues [][]int32
	letters                []int32
	// colon parts a title from a caption.
	colon []int32
}

// New checks that the letters of 2 to 52 candidates (A–Z, then a–z) are single, distinct tokens in the place where the
// model answers, that the tokenizer has the template's markup, and that the limits leave room. What does not fit is a
// usage error.
func New(tok *tokenizer.Tokenizer, t *Template, limits Limits, candidates int) (*Builder, error) {
	switch {
	case candidates < 2 || candidates > len(Letters):
		return nil, fail.Usagef("prompts of %d candidates: there are letters for 2 to %d; set candidates.k to that", candidates, len(Letters))
	case limits.History < 1 || limits.TextTokens < 1 || limits.PromptTokens < 1:
		return nil, fail.Usagef("prompts need a history, titles and a length of at least 1, not %d items, %d tokens and %d tokens",
			limits.History, limits.TextTokens, limits.PromptTokens)
	}
	if err := checkMarkup(tok, t); err != nil {
		return nil, err
	}
	b := &Builder{tok: tok, template: t, limits: limits, colon: tok.Continue(" :")}
	b.encodePieces(candidates)
	if err := b.encodeLetters(candidates); err != nil {
		return nil, err
	}
	least := candidates + 1 // a token each
	for _, piece := range slices.Concat(b.options, [][]int32{b.numbers[0], b.cues[candidates-1]}) {
		least += len(piece)
	}
	if least > limits.PromptTokens {
		return nil, fail.Usagef("prompt template %s with %d candidates takes %d tokens before there are any titles, more than %d: raise ranker.max_tokens",
			t.name, candidates, least-candidates-1, limits.PromptTokens)
	}
	return b, nil
}

// markup is how the models that chat spell their tokens.
var markup = regexp.MustCompile(`<\|[^|<>\s]+\|>`)

// checkMarkup refuses markup of another model, which would be read as text.
func checkMarkup(tok *tokenizer.Tokenizer, t *Template) error {
	for _, text := range markup.FindAllString(t.text, -1) {
		if _, ok := tok.Token(text); !ok {
			return fail.Usagef("prompt template %s: %s is no token of this tokenizer: the template is written for another model", t.name, text)
		}
	}
	return nil
}

func (b *Builder) encodePieces(candidates int) {
	t := b.template
	begin := b.tok.EncodeMarkup(t.intro + t.history.head("1"))
	if start := b.tok.Start(); !slices.Equal(begin[:min(len(start), len(begin))], start) { // a template may spell it itself
		begin = slices.Concat(start, begin)
	}
	b.numbers = append(b.numbers, begin)
	for n := 2; n <= min(b.limits.History, b.limits.PromptTokens); n++ {
		b.numbers = append(b.numbers, b.tok.ContinueMarkup(t.history.tail+"\n"+t.history.head(strconv.Itoa(n))))
	}
	before := t.history.tail + t.question
	for i := range candidates {
		letter := Letters[i : i+1]
		b.options = append(b.options, b.tok.ContinueMarkup(before+t.candidate.head(letter)))
		b.cues = append(b.cues, b.tok.ContinueMarkup(t.candidate.end(letter)+t.cue))
		before = t.candidate.end(letter) + "\n"
	}
}

// encodeLetters finds the token of each letter as it follows the cue, and makes sure that it is one.
func (b *Builder) encodeLetters(candidates int) error {
	t := b.template
	cue, want := t.candidate.end(Letters[candidates-1:candidates])+t.cue, b.cues[candidates-1]
	n := len(want)
	for i := range candidates {
		tokens := b.tok.ContinueMarkup(cue + t.space + Letters[i:i+1])
		if len(tokens) != n+1 || !slices.Equal(tokens[:n], want) || slices.Contains(b.letters, tokens[n]) {
			return fail.Usagef("prompt template %s: the letter %s is no token of its own behind %q: end the template with another cue, such as \"({answer}\"%s",
				t.name, Letters[i:i+1], lastRunes(cue+t.space, 20), fewer(i))
		}
		b.letters = append(b.letters, tokens[n])
	}
	return nil
}

// fewer says how many candidates there are letters for.
func fewer(n int) string {
	if n < 2 {
		return ""
	}
	return ", or set candidates.k to " + strconv.Itoa(n)
}

func lastRunes(text string, n int) string {
	runes := []rune(text)
	return string(runes[max(0, len(runes)-n):])
}

// Letters are the tokens that stand for candidates 0…n-1. The caller does not change them.
func (b *Builder) Letters() []int32 { return b.letters }

// Prefix are the tokens that every prompt begins with, BOS included where the model has one: the longest such beginning
// there is. The caller does not change them.
func (b *Builder) Prefix() []int32 { return b.numbers[0] }

// Text is a prompt as the model sees it, markup included.
func (b *Builder) Text(p Prompt) string {
	return strings.ToValidUTF8(b.tok.DecodeMarkup(p.Tokens), "\uFFFD")
}
