package tokenizer

import (
	"cmp"
	"fmt"
	"slices"
	"unicode/utf8"

	"mllm4rec/internal/gguf"
)

// maxPiece bounds the tokens of SentencePiece, in bytes: finding their merges takes the square of it.
const maxPiece = 512

// ggufPieces makes the pipeline and the encoder of a SentencePiece vocabulary.
func (t *Tokenizer) ggufPieces(m gguf.Metadata, plain []bool) error {
	scores, err := m.Floats(keyScores)
	if err != nil {
		return err
	}
	if len(scores) != len(plain) {
		return fmt.Errorf("it has %d tokens and the scores of %d", len(plain), len(scores))
	}
	if extra, ok := m[keyExtra].(bool); ok && extra {
		return fmt.Errorf("it drops spaces (%s), which is not known here", keyExtra)
	}
	t.stripSpace = true
	if m.Has(keyPrefix) {
		if t.stripSpace, err = m.Bool(keyPrefix); err != nil {
			return err
		}
	}
	if t.stripSpace {
		t.text.dummy = mark
	}
	t.text.rewrite = []rewriter{replacer(" ", mark)}
	t.bpe = newBPE(&t.vocabulary, plain, false)
	t.bpe.fallBack(&t.vocabulary)
	if t.bpe.unknown, err = t.ggufID(m, keyUnk); err != nil {
		return err
	}
	t.bpe.joinUnknown = true
	if err := t.bpe.allowByScore(&t.vocabulary, plain, scores); err != nil {
		return err
	}
	if t.bpe.wordsByMark(&t.vocabulary) {
		t.text.cut = []cutter{{words: splitMarks}}
	}
	return nil
}

// allowByScore finds the merges that SentencePiece does not write down: two tokens may be merged where both together
// are a token, and its score is the merge's rank.
func (b *bpe) allowByScore(v *vocabulary, plain []bool, scores []float32) error {
	var ids []int32
	for id, text := range v.texts {
		if !plain[id] {
			continue
		}
		if len(text) > maxPiece {
			return fmt.Errorf("token %d (%.50q …) has %d bytes; %d are allowed", id, text, len(text), maxPiece)
		}
		ids = append(ids, int32(id))
	}
	slices.SortStableFunc(ids, func(i, j int32) int { return cmp.Compare(scores[j], scores[i]) })
	rank := int32(0)
	for i, id := range ids {
		if i > 0 && cmp.Compare(scores[id], scores[ids[i-1]]) != 0 {
			rank = int32(i)
		}
		text := v.texts[id]
		for _, at := range inner(text) {
			left, okLeft := v.ids[text[:at]]
			right, okRight := v.ids[text[at:]]
			if okLeft && okRight && plain[left] && plain[right] {
				b.merges[pair{left, right}] = merge{rank: rank, id: id}
			}
		}
	}
	return nil
}

// inner are the places between two characters of a text.
func inner(text string) (places []int) {
	for at := range text {
		if at > 0 && utf8.RuneStart(text[at]) {
			places = append(places, at)
		}
	}
	return places
}
