package tokenizer

import (
	"strings"

	"golang.org/x/text/unicode/norm"
)

// pipeline is what happens to a text before byte-pair encoding: it is rewritten, then cut into words, each of which is
// encoded by itself.
type pipeline struct {
	rewrite []rewriter
	// dummy is put before the text by the rewriters (Llama 2: ▁) or by the pre-tokenizer, see place.
	dummy string
	place dummyPlace
	cut   []cutter
}

// dummyPlace says where the dummy goes.
type dummyPlace uint8

const (
	// always: before every text and every part between markup; Llama 2's Prepend.
	always dummyPlace = iota
	// unlessThere: the same, but not where the text begins with it already (Metaspace, prepend_scheme always).
	unlessThere
	// firstUnlessThere: only at the very beginning (Metaspace, prepend_scheme first).
	firstUnlessThere
)

// rewriter changes a text: NFC, or one string for another.
type rewriter func(text string) string

// cutter is one pre-tokenizer.
type cutter struct {
	words splitter
	// leadingSpace: a space is put before a part that has none (ByteLevel's add_prefix_space). words is then nil.
	leadingSpace bool
}

// position is where a text stands.
type position uint8

const (
	// first: at the beginning of everything.
	first position = iota
	// afterMarkup: behind a token that stands for itself.
	afterMarkup
	// inside: it goes on where another text ended, so that nothing is put before it.
	inside
)

// prepare rewrites a text that is not empty.
func (p *pipeline) prepare(text string, at position) string {
	if p.dummy != "" && p.place == always && at != inside {
		text = p.dummy + text
	}
	for _, f := range p.rewrite {
		text = f(text)
	}
	if p.dummy == "" || p.place == always || at == inside || p.place == firstUnlessThere && at != first {
		return text
	}
	if strings.HasPrefix(text, p.dummy) {
		return text
	}
	return p.dummy + text
}

func replacer(from, to string) rewriter {
	return func(text string) string { return strings.ReplaceAll(text, from, to) }
}

// joiner is what x/text puts into rows of more than 30 combining marks, to bound its memory; no other library does.
const joiner = "\u034f"

// nfc composes characters, by a newer Unicode than the Rust library's 13.
func nfc(text string) string {
	composed := norm.NFC.String(text)
	if !strings.Contains(text, joiner) {
		composed = strings.ReplaceAll(composed, joiner, "")
	}
	return composed
}
