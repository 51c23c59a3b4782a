package tokenizer

import "unicode"

// class is what the regular expressions of tokenizers tell apart: \p{L}, \p{N}, \s and the rest.
type class uint8

const (
	other class = iota
	letter
	number
	space
)

var asciiClass [128]class

func init() {
	for c := range asciiClass {
		asciiClass[c] = classOf(rune(c))
	}
}

// classify is classOf with a short way for ASCII.
func classify(c rune) class {
	if uint32(c) < uint32(len(asciiClass)) {
		return asciiClass[c]
	}
	return classOf(c)
}

func classOf(c rune) class {
	switch {
	case unicode.IsLetter(c) || unicode.Is(newLetters, c):
		return letter
	case unicode.IsNumber(c) || unicode.Is(newNumbers, c):
		return number
	case unicode.IsSpace(c):
		return space
	}
	return other
}

// The letters and numbers that Unicode 16, which the regular expressions of the Rust library know, has beyond Unicode
// 15, which Go 1.26 knows; and those that its Digits has besides, of Unicode 17.
var (
	newLetters = &unicode.RangeTable{
		R16: []unicode.Range16{{0x1c89, 0x1c8a, 1}, {0xa7cb, 0xa7cd, 1}, {0xa7da, 0xa7dc, 1}},
		R32: []unicode.Range32{
			{0x105c0, 0x105f3, 1}, {0x10d4a, 0x10d65, 1}, {0x10d6f, 0x10d85, 1}, {0x10ec2, 0x10ec4, 1}, {0x11380, 0x11389, 1},
			{0x1138b, 0x1138b, 1}, {0x1138e, 0x1138e, 1}, {0x11390, 0x113b5, 1}, {0x113b7, 0x113b7, 1}, {0x113d1, 0x113d1, 1},
			{0x113d3, 0x113d3, 1}, {0x11bc0, 0x11be0, 1}, {0x13460, 0x143fa, 1}, {0x16100, 0x1611d, 1}, {0x16d40, 0x16d6c, 1},
			{0x18cff, 0x18cff, 1}, {0x1e5d0, 0x1e5ed, 1}, {0x1e5f0, 0x1e5f0, 1}, {0x2ebf0, 0x2ee5d, 1},
		},
	}
	newNumbers = &unicode.RangeTable{R32: []unicode.Range32{
		{0x10d40, 0x10d49, 1}, {0x116d0, 0x116e3, 1}, {0x11bf0, 0x11bf9, 1}, {0x16130, 0x16139, 1}, {0x16d70, 0x16d79, 1},
		{0x1ccf0, 0x1ccf9, 1}, {0x1e5f1, 0x1e5fa, 1},
	}}
	newestNumbers = &unicode.RangeTable{R32: []unicode.Range32{{0x11de0, 0x11de9, 1}, {0x16ff4, 0x16ff6, 1}}}
)
