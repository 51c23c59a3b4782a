package literal

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Text returns a string, its escapes resolved, in UTF-8 if the scanned text is. It is valid until the next call of Text
// or Object. ok is false for null.
func (s *Scanner) Text() (text []byte, ok bool, err error) {
	switch s.Kind() {
	case String:
		body, escaped, err := s.raw()
		if err != nil || !escaped {
			return body, true, err
		}
		text, err = s.unescape(body)
		return text, true, err
	case Null:
		return nil, false, s.word()
	}
	return nil, false, s.typeError()
}

// raw steps over a string and returns what stands between the quotes.
func (s *Scanner) raw() (body []byte, escaped bool, err error) {
	quote := s.text[s.pos]
	if quote == 'u' || quote == 'U' {
		if s.pos++; !s.at('"') && !s.at('\'') {
			return nil, false, ErrSyntax
		}
		quote = s.text[s.pos]
	}
	s.pos++
	start, end := s.pos, -1 // end is the next quote, which is looked for once: a string may be millions of escapes
	for {
		if s.pos > end {
			n := bytes.IndexByte(s.text[s.pos:], quote)
			if n < 0 {
				return nil, false, ErrSyntax
			}
			end = s.pos + n
		}
		back := bytes.IndexByte(s.text[s.pos:end], '\\')
		if back < 0 {
			s.pos = end + 1
			return s.text[start:end], escaped, nil
		}
		escaped = true
		// Step over the escape; the quote may be the escaped byte.
		if s.pos += back + 2; s.pos > len(s.text) {
			return nil, false, ErrSyntax
		}
	}
}

// unescape resolves escapes into the scratch buffer.
func (s *Scanner) unescape(body []byte) ([]byte, error) {
	out := s.scratch[:0]
	for {
		i := bytes.IndexByte(body, '\\')
		if i < 0 {
			s.scratch = append(out, body...)
			return s.scratch, nil
		}
		out = append(out, body[:i]...)
		r, size := escape(body[i:], s.dialect)
		switch {
		case size == 0:
			return nil, ErrSyntax
		case r >= 0:
			out = utf8.AppendRune(out, r) // surrogates without a partner become U+FFFD
		case size == 1: // an escape that Python does not know is no escape
			out = append(out, '\\')
		}
		body = body[i+size:]
	}
}

var simpleEscapes = [2]map[byte]rune{
	JSON:   {'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'},
	Python: {'"': '"', '\'': '\'', '\\': '\\', 'a': '\a', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v'},
}

// escape reads an escape, which begins with a backslash. size 0 means a bad one; r -1 with size 1 one that stands for
// itself; r -1 with size 2 one that stands for nothing.
func escape(text []byte, d Dialect) (r rune, size int) {
	if len(text) < 2 {
		return 0, 0
	}
	c := text[1]
	if r, ok := simpleEscapes[d][c]; ok {
		return r, 2
	}
	switch {
	case c == 'u':
		return unicode16(text)
	case d == JSON:
		return 0, 0
	case c == 'x':
		return hex(text, 2)
	case c == 'U':
		return hex(text, 8)
	case c >= '0' && c <= '7':
		return octal(text)
	case c == '\n':
		return -1, 2
	case c == 'N': // \N{NAME}: repr never writes it
		return 0, 0
	}
	return -1, 1
}

// hex reads \x, \u or \U and its digits.
func hex(text []byte, digits int) (rune, int) {
	if len(text) < 2+digits {
		return 0, 0
	}
	n, err := strconv.ParseUint(string(text[2:2+digits]), 16, 32)
	if err != nil || n > utf8.MaxRune || text[2] == '+' {
		return 0, 0
	}
	return rune(n), 2 + digits
}

// unicode16 reads \uXXXX and, where it is half of a surrogate pair, the other half.
func unicode16(text []byte) (rune, int) {
	r, size := hex(text, 4)
	if size == 0 || !utf16.IsSurrogate(r) || len(text) < 12 || text[6] != '\\' || text[7] != 'u' {
		return r, size
	}
	low, lowSize := hex(text[6:], 4)
	if pair := utf16.DecodeRune(r, low); lowSize > 0 && pair != utf8.RuneError {
		return pair, 12
	}
	return r, size
}

// octal reads a backslash and one to three octal digits.
func octal(text []byte) (r rune, size int) {
	for size = 1; size < 4 && size < len(text) && text[size] >= '0' && text[size] <= '7'; size++ {
		r = r*8 + rune(text[size]-'0')
	}
	return r, size
}
