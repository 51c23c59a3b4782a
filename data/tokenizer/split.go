package tokenizer

import "strings"

// A splitter gives the length in bytes of the first word of s, which is not empty. These stand for the regular
// expressions of tokenizer.json: they need look-ahead, which Go's regexp has not, and are several times as fast.
type splitter func(s string) int

// The regular expressions that are known, as tokenizer.json spells them.
const (
	patternGPT2   = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	patternLlama3 = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	patternQwen2  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

var splitters = map[string]splitter{
	patternGPT2:   splitGPT2,
	patternLlama3: func(s string) int { return splitLlama(s, 3) },
	patternQwen2:  func(s string) int { return splitLlama(s, 1) },
}

// splitGPT2 is patternGPT2.
func splitGPT2(s string) int {
	c, n := firstRune(s)
	if c == '\'' {
		if n := contraction(s, false); n > 0 {
			return n
		}
	}
	kind := classify(c)
	if c == ' ' && len(s) > 1 {
		if c, width := firstRune(s[1:]); classify(c) != space {
			return run(s, 1+width, classify(c))
		}
	}
	if kind == space {
		return splitSpace(s)
	}
	return run(s, n, kind)
}

// splitLlama is patternLlama3, with digits numbers in a row at most.
func splitLlama(s string, digits int) int {
	if n := contraction(s, true); n > 0 {
		return n
	}
	c, n := firstRune(s)
	kind := classify(c)
	second, width := other, 0
	if n < len(s) {
		var c rune
		c, width = firstRune(s[n:])
		second = classify(c)
	}
	switch {
	case kind == letter:
		return run(s, n, letter)
	case kind != number && second == letter && c != '\r' && c != '\n':
		return run(s, n+width, letter)
	case kind == number:
		return numbers(s, n, digits-1)
	case c == ' ' && width > 0 && second == other:
		return newlines(s, run(s, n+width, other))
	case kind == other:
		return newlines(s, run(s, n, other))
	}
	if end := strings.LastIndexAny(s[:run(s, n, space)], "\r\n"); end >= 0 {
		return end + 1
	}
	return splitSpace(s)
}

// contraction is the length of 's, 't, 're, 've, 'm, 'll or 'd that s begins with. The long ſ folds to s, in Unicode.
func contraction(s string, anyCase bool) int {
	if len(s) < 2 || s[0] != '\'' {
		return 0
	}
	if anyCase && strings.HasPrefix(s[1:], "ſ") {
		return 1 + len("ſ")
	}
	var a, b byte = s[1], 0
	if len(s) > 2 {
		b = s[2]
	}
	if anyCase {
		a, b = lower(a), lower(b)
	}
	switch {
	case a == 's' || a == 't' || a == 'm' || a == 'd':
		return 2
	case (a == 'r' || a == 'v') && b == 'e' || a == 'l' && b == 'l':
		return 3
	}
	return 0
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// run is where the characters of kind that follow s[:n] end.
func run(s string, n int, kind class) int {
	for n < len(s) {
		c, width := firstRune(s[n:])
		if classify(c) != kind {
			break
		}
		n += width
	}
	return n
}

// numbers is where at most more numbers that follow s[:n] end.
func numbers(s string, n, more int) int {
	for ; more > 0 && n < len(s); more-- {
		c, width := firstRune(s[n:])
		if classify(c) != number {
			break
		}
		n += width
	}
	return n
}

func newlines(s string, n int) int {
	for n < len(s) && (s[n] == '\r' || s[n] == '\n') {
		n++
	}
	return n
}

// splitSpace is \s+(?!\S)|\s+ : of the spaces before a word, the last one is left to it.
func splitSpace(s string) int {
	n, last := 0, 0
	for n < len(s) {
		c, width := firstRune(s[n:])
		if classify(c) != space {
			break
		}
		n, last = n+width, n
	}
	if n < len(s) && last > 0 {
		return last
	}
	return n
}
