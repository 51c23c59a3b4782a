package tokenizer

import (
	"cmp"
	"slices"
	"strings"
)

// markup finds added tokens in a text.
type markup struct {
	// byFirst holds them by their first byte, longest first.
	byFirst [256][]added
}

// added is a token that stands for itself in markup.
type added struct {
	text string
	id   int32
	// left and right: the spaces beside it belong to it (lstrip, rstrip).
	left, right bool
}

func newMarkup(tokens []added) markup {
	var m markup
	for _, token := range tokens {
		b := token.text[0]
		m.byFirst[b] = append(m.byFirst[b], token)
	}
	for i := range m.byFirst {
		slices.SortFunc(m.byFirst[i], func(a, b added) int { return cmp.Compare(len(b.text), len(a.text)) })
	}
	return m
}

// find gives where the first added token of text begins and ends, the longest of those that begin there; without one,
// the end of the text and id -1.
func (m *markup) find(text string) (begin, end int, id int32) {
	for at := range len(text) {
		for _, token := range m.byFirst[text[at]] {
			if strings.HasPrefix(text[at:], token.text) {
				begin, end := token.widen(text, at, at+len(token.text))
				return begin, end, token.id
			}
		}
	}
	return len(text), len(text), -1
}

func (a added) widen(text string, begin, end int) (int, int) {
	if a.left {
		begin = len(strings.TrimRightFunc(text[:begin], isSpace))
	}
	if a.right {
		end = len(text) - len(strings.TrimLeftFunc(text[end:], isSpace))
	}
	return begin, end
}

func isSpace(c rune) bool { return classify(c) == space }
