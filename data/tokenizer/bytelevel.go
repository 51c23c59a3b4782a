package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// GPT-2 writes every byte as one visible character: those that are visible in Latin-1 as themselves, the other 68 from
// U+0100 on, so that a space is Ġ and a newline Ċ (bytes_to_unicode in OpenAI's encoder.py).
var (
	charOfByte [256]rune
	byteOfChar = map[rune]byte{}
)

func init() {
	next := rune(256)
	for b := range charOfByte {
		c := rune(b)
		if visible := c >= '!' && c <= '~' || c >= 0xA1 && c <= 0xAC || c >= 0xAE; !visible {
			c = next
			next++
		}
		charOfByte[b] = c
		byteOfChar[c] = byte(b)
	}
}

// fromChars gives the bytes that a token of such characters stands for; a token with any other character stands for
// itself.
func fromChars(text string) string {
	bytes := make([]byte, 0, len(text))
	for _, c := range text {
		b, ok := byteOfChar[c]
		if !ok {
			return text
		}
		bytes = append(bytes, b)
	}
	return string(bytes)
}

// fallbackByte is the byte that SentencePiece's token <0x0A> stands for.
func fallbackByte(text string) (byte, bool) {
	if len(text) != 6 || text[:3] != "<0x" || text[5] != '>' {
		return 0, false
	}
	high, low := hexDigit(text[3]), hexDigit(text[4])
	return byte(high<<4 | low), high >= 0 && low >= 0
}

// hexDigit takes capitals only, as the format has them.
func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// meaning is the text that a token of the model stands for.
func meaning(text string, byteLevel bool) string {
	if byteLevel {
		return fromChars(text)
	}
	if b, ok := fallbackByte(text); ok {
		return string([]byte{b})
	}
	return strings.ReplaceAll(text, mark, " ")
}

// firstRune is the first character of a text that is not empty, and its length in bytes. A byte that is no UTF-8 is a
// character of its own, of no class.
func firstRune(s string) (rune, int) {
	if c := s[0]; c < utf8.RuneSelf {
		return rune(c), 1
	}
	return utf8.DecodeRuneInString(s)
}
