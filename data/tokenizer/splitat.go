package tokenizer

import (
	"strings"
	"unicode"
)

// splitDigits parts every number from what is around it, and numbers from one another where single.
func splitDigits(single bool) splitter {
	isNumber := func(c rune) bool { return classify(c) == number || unicode.Is(newestNumbers, c) }
	return func(s string) int { return splitAround(s, single, isNumber) }
}

// splitDecimals parts every decimal digit from what is around it: the expression \d.
func splitDecimals(s string) int {
	return splitAround(s, true, func(c rune) bool { return unicode.IsDigit(c) || unicode.Is(newNumbers, c) })
}

// splitAround parts characters of a kind from what is around them, and from one another where single.
func splitAround(s string, single bool, kind func(c rune) bool) int {
	c, n := firstRune(s)
	first := kind(c)
	if first && single {
		return n
	}
	for n < len(s) {
		c, width := firstRune(s[n:])
		if kind(c) != first {
			break
		}
		n += width
	}
	return n
}

// mark is what SentencePiece writes for a space.
const mark = "▁"

// splitMarks ends a word before the mark that follows something else.
func splitMarks(s string) int {
	n := 0
	for strings.HasPrefix(s[n:], mark) {
		n += len(mark)
	}
	if next := strings.Index(s[n:], mark); next >= 0 {
		return n + next
	}
	return len(s)
}

// splitEachMark begins a word at every mark.
func splitEachMark(s string) int {
	if next := strings.Index(s[1:], mark); next >= 0 {
		return 1 + next
	}
	return len(s)
}
