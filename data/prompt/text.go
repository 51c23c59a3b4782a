package prompt

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Text is an item as it stands in prompts. It belongs to the Builder that made it.
type Text struct {
	tokens               []int32
	titleCut, captionCut bool
}

// untitled is written where an item has neither title nor caption.
const untitled = "untitled"

// year is how a film's title ends.
var year = regexp.MustCompile(`\s+\(\d{4}\)\s*$`)

// Item makes an item of its title, and of its caption if there is one: "title : caption", each cut at Limits.TextTokens.
func (b *Builder) Item(title, caption string) Text {
	if b.template.undated {
		title = year.ReplaceAllString(title, "")
	}
	var text Text
	text.tokens, text.titleCut = b.plain(title)
	described, cut := b.plain(caption)
	text.captionCut = cut
	switch {
	case len(text.tokens) == 0 && len(described) == 0:
		text.tokens, _ = b.plain(untitled)
	case len(text.tokens) == 0:
		text.tokens = described
	case len(described) > 0:
		text.tokens = slices.Concat(text.tokens, b.colon, described)
	}
	text.tokens = slices.Clip(text.tokens)
	return text
}

// tokenRunes is how many characters of a text are looked at for each token that it may have, so that a title of a
// megabyte costs no more than a long one. English has about 4 characters a token.
const tokenRunes = 32

// plain encodes data: as plain text, with a space before it.
func (b *Builder) plain(data string) (tokens []int32, cut bool) {
	text, cut := clean(data, tokenRunes*b.limits.TextTokens)
	if text == "" {
		return nil, cut
	}
	tokens = b.tok.Continue(" " + b.unmark(text))
	if len(tokens) > b.limits.TextTokens {
		return b.wholeRunes(tokens[:b.limits.TextTokens]), true
	}
	return tokens, cut
}

// wholeRunes drops the tokens at the end that hold a part of a character.
func (b *Builder) wholeRunes(tokens []int32) []int32 {
	for n := len(tokens); n > max(0, len(tokens)-utf8.UTFMax); n-- {
		if utf8.ValidString(b.tok.Decode(tokens[:n])) {
			return tokens[:n]
		}
	}
	return tokens
}

// clean makes a text one line of at most limit characters: newlines, control characters and spaces become single spaces,
// none at the ends; what is not UTF-8 and characters that nobody sees go, those that turn the direction of writing first
// of all. Right-to-left text itself stays, and so do the joiners that Persian, Indian scripts and emoji are spelt with.
func clean(data string, limit int) (text string, cut bool) {
	var out strings.Builder
	gap, n := false, 0
	for i, c := range data {
		switch {
		case unicode.IsSpace(c) || unicode.IsControl(c):
			gap = n > 0
			continue
		case c == utf8.RuneError && !strings.HasPrefix(data[i:], string(utf8.RuneError)):
			continue
		case unicode.Is(unicode.Cf, c) && !unicode.In(c, unicode.Join_Control, unicode.Prepended_Concatenation_Mark):
			continue
		}
		if gap {
			n++
		}
		if n >= limit {
			return out.String(), true
		}
		if gap {
			out.WriteByte(' ')
			gap = false
		}
		out.WriteRune(c)
		n++
	}
	return out.String(), false
}

// unmark writes what data spells like the letter of a candidate in another way: where the template has (A), a film
// "Kull (V)" becomes "Kull [V]". A template whose letters do not stand between two signs needs no such thing: data has no
// newline, and only at the beginning of a line "A." is a mark.
func (b *Builder) unmark(text string) string {
	open, _ := utf8.DecodeLastRuneInString(b.template.candidate.before)
	closing, _ := utf8.DecodeRuneInString(b.template.candidate.after)
	if !isSign(open) || !isSign(closing) {
		return text
	}
	left, right := '[', ']'
	if open == '[' {
		left, right = '(', ')'
	}
	runes := []rune(text)
	for i := 2; i < len(runes); i++ {
		if composed(runes[i-2]) == composed(open) && composed(runes[i]) == composed(closing) && strings.ContainsRune(Letters, composed(runes[i-1])) {
			runes[i-2], runes[i] = left, right
		}
	}
	return string(runes)
}

// composed is c as tokenizers read it that normalise by NFC (Qwen's): the Kelvin sign is a K.
func composed(c rune) rune {
	if c < utf8.RuneSelf {
		return c
	}
	first, _ := utf8.DecodeRuneInString(norm.NFC.String(string(c)))
	return first
}

func isSign(c rune) bool { return c != utf8.RuneError && (unicode.IsPunct(c) || unicode.IsSymbol(c)) }
