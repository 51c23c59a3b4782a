package literal

import "bytes"

// Number returns the text of a number, without the L of Python 2. It is valid as long as the scanned text. ok is false
// for null.
func (s *Scanner) Number() (text []byte, ok bool, err error) {
	switch s.Kind() {
	case Number:
		text, err = s.number()
		return text, true, err
	case Null:
		return nil, false, s.word()
	}
	return nil, false, s.typeError()
}

// number steps over a number.
func (s *Scanner) number() ([]byte, error) {
	start := s.pos
	if c := s.text[s.pos]; c == '-' || c == '+' && s.dialect == Python {
		s.pos++
	}
	if s.dialect == JSON {
		for _, word := range []string{"NaN", "Infinity"} {
			if bytes.HasPrefix(s.text[s.pos:], []byte(word)) {
				s.pos += len(word)
				return s.finish(start, s.pos)
			}
		}
	}
	whole := s.digits()
	zeros := s.dialect == JSON && whole > 1 && s.text[s.pos-whole] == '0'
	fraction, point := 0, s.at('.')
	if point {
		s.pos++
		fraction = s.digits()
	}
	bare := s.dialect == JSON && (whole == 0 || point && fraction == 0)
	if whole+fraction == 0 || zeros || bare {
		return nil, ErrSyntax
	}
	if s.at('e') || s.at('E') {
		s.pos++
		if s.at('-') || s.at('+') {
			s.pos++
		}
		if s.digits() == 0 {
			return nil, ErrSyntax
		}
	} else if s.dialect == Python && !point && (s.at('L') || s.at('l')) {
		s.pos++
		return s.finish(start, s.pos-1)
	}
	return s.finish(start, s.pos)
}

// finish makes sure that the number ends here.
func (s *Scanner) finish(start, end int) ([]byte, error) {
	if s.pos < len(s.text) && isWordByte(s.text[s.pos]) {
		return nil, ErrSyntax
	}
	return s.text[start:end], nil
}

func (s *Scanner) at(c byte) bool { return s.pos < len(s.text) && s.text[s.pos] == c }

func (s *Scanner) digits() (n int) {
	for s.pos < len(s.text) && s.text[s.pos] >= '0' && s.text[s.pos] <= '9' {
		s.pos++
		n++
	}
	return n
}
