package tokenizer

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// newBPE makes an encoder that knows the smallest symbols of a vocabulary, but no merges yet. Only plain tokens are
// ever made of text.
func newBPE(v *vocabulary, plain []bool, byteLevel bool) bpe {
	b := bpe{merges: map[pair]merge{}, unknown: -1}
	for i := range b.ofByte {
		b.ofByte[i] = -1
	}
	if byteLevel {
		for i, c := range charOfByte {
			if id, ok := v.ids[string(c)]; ok && plain[id] {
				b.ofByte[i] = id
			}
		}
		return b
	}
	b.chars = map[rune]int32{}
	for id, text := range v.texts {
		if c, n := utf8.DecodeRuneInString(text); plain[id] && n == len(text) && (c != utf8.RuneError || n > 1) {
			b.chars[c] = int32(id)
		}
	}
	return b
}

// fallBack lets characters that are no tokens become their bytes, as far as v has tokens like <0x0A>.
func (b *bpe) fallBack(v *vocabulary) {
	for id, text := range v.texts {
		if c, ok := fallbackByte(text); ok {
			b.ofByte[c] = int32(id)
		}
	}
}

// allow adds the merge of two tokens. One that would make a token that is not plain is left out: no text becomes it.
func (b *bpe) allow(v *vocabulary, plain []bool, left, right string, rank int32) error {
	l, okLeft := v.ids[left]
	r, okRight := v.ids[right]
	id, ok := v.ids[left+right]
	if !okLeft || !okRight || !ok {
		return fmt.Errorf("the merge of %.50q and %.50q is of or to a token that the vocabulary has not", left, right)
	}
	if plain[id] {
		b.merges[pair{l, r}] = merge{rank: rank, id: id}
	}
	return nil
}

// keepWhole takes every word that is a plain token as it is (ignore_merges).
func (b *bpe) keepWhole(v *vocabulary, plain []bool, byteLevel bool) {
	b.whole = map[string]int32{}
	for id, text := range v.texts {
		if plain[id] {
			b.whole[meaning(text, byteLevel)] = int32(id)
		}
	}
}

// cutMerge parts "a b".
func cutMerge(line string) []string { return strings.Split(line, " ") }

// wordsByMark tells whether no token has a mark behind anything else, so that a text may be cut before such marks with
// nothing changed: words come from the cache then.
func (b *bpe) wordsByMark(v *vocabulary) bool {
	if b.whole != nil {
		return false
	}
	for _, m := range b.merges {
		rest := v.texts[m.id]
		for strings.HasPrefix(rest, mark) {
			rest = rest[len(mark):]
		}
		if strings.Contains(rest, mark) {
			return false
		}
	}
	return true
}
