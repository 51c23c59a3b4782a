// Package literal scans one value of JSON, or of Python literals as repr writes them, without building it: the caller
// walks to the few fields that it wants and the rest is stepped over. Nothing is ever evaluated, nothing is allocated
// for what is skipped, and depth is limited.
//
// Python literals here are dicts, lists, tuples, strings in either quotes with or without the prefix u, numbers (also
// with the L of Python 2), True, False and None. Raw and byte strings, sets, sums, names and calls are syntax errors.
package literal

import (
	"bytes"
	"errors"
)

// Dialect is a language of values.
type Dialect int

// The dialects.
const (
	JSON   Dialect = iota // RFC 8259, and NaN, Infinity, -Infinity as Python's json module writes them
	Python                // Python 2 and 3 literals
)

// Errors of the scanner. Nothing else is returned, except what callbacks return.
var (
	ErrSyntax = errors.New("no value of this language")
	ErrDeep   = errors.New("nested deeper than 200")
	ErrType   = errors.New("value of another type than expected")
)

const maxDepth = 200

// Kind is what a value is.
type Kind int

// The kinds of values. Null is also Python's None; List also a tuple.
const (
	Invalid Kind = iota
	Object
	List
	String
	Number
	Bool
	Null
)

// Scanner walks over one value. The zero Scanner is ready for Reset.
type Scanner struct {
	text    []byte
	pos     int
	depth   int
	dialect Dialect
	scratch []byte
}

// Reset begins a new value. text is not changed and must stay until the value is done with.
func (s *Scanner) Reset(text []byte, d Dialect) {
	s.text, s.pos, s.depth, s.dialect = text, 0, 0, d
}

// End makes sure that nothing but space follows.
func (s *Scanner) End() error {
	if s.space(); s.pos != len(s.text) {
		return ErrSyntax
	}
	return nil
}

// space steps over white space and returns the next byte, 0 at the end.
func (s *Scanner) space() byte {
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; c {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return c
		}
	}
	return 0
}

// Kind tells what comes next without stepping over it.
func (s *Scanner) Kind() Kind {
	switch c := s.space(); {
	case c == '{':
		return Object
	case c == '[', c == '(' && s.dialect == Python:
		return List
	case c == '"':
		return String
	case s.dialect == Python && (c == '\'' || c == 'u' || c == 'U'):
		return String
	case c == 't', c == 'f', c == 'T', c == 'F':
		return Bool
	case c == 'n', c == 'N' && s.dialect == Python:
		return Null
	case c == '-', c == '+', c == '.', c >= '0' && c <= '9', c == 'N', c == 'I':
		return Number
	}
	return Invalid
}

// Object calls field for every key of an object (dict). field must step over the value with one of the scanner's
// methods. The key is valid until then. Keys of a dict that are no strings are empty.
func (s *Scanner) Object(field func(key []byte) error) error {
	if s.space() != '{' {
		return s.typeError()
	}
	return s.members('}', func() error {
		key, err := s.key()
		if err != nil {
			return err
		}
		if s.space() != ':' {
			return ErrSyntax
		}
		s.pos++
		return field(key)
	})
}

func (s *Scanner) key() ([]byte, error) {
	if s.Kind() == String {
		key, _, err := s.Text()
		return key, err
	}
	if s.dialect == JSON {
		return nil, ErrSyntax
	}
	return nil, s.Skip()
}

// List calls element before every element of a list or tuple. element must step over it.
func (s *Scanner) List(element func() error) error {
	switch {
	case s.space() == '[':
		return s.members(']', element)
	case s.Kind() == List:
		return s.members(')', element)
	}
	return s.typeError()
}

// members walks over what stands between brackets, the opening one being next.
func (s *Scanner) members(closing byte, member func() error) error {
	s.pos++
	if s.depth++; s.depth > maxDepth {
		return ErrDeep
	}
	for first := true; ; first = false {
		c := s.space()
		if c == closing && (first || s.dialect == Python) {
			break
		}
		if err := member(); err != nil {
			return err
		}
		c = s.space()
		if c == closing {
			break
		}
		if c != ',' {
			return ErrSyntax
		}
		s.pos++
	}
	s.pos++
	s.depth--
	return nil
}

func (s *Scanner) typeError() error {
	if s.Kind() == Invalid {
		return ErrSyntax
	}
	return ErrType
}

// Skip steps over a value.
func (s *Scanner) Skip() error {
	switch c := s.space(); c {
	case '"':
		_, _, err := s.raw()
		return err
	case '{':
		return s.skipMembers('}', true)
	case '[':
		return s.skipMembers(']', false)
	case '(':
		if s.dialect == Python {
			return s.skipMembers(')', false)
		}
		return ErrSyntax
	}
	switch s.Kind() {
	case String:
		_, _, err := s.raw()
		return err
	case Number:
		_, err := s.number()
		return err
	case Bool, Null:
		return s.word()
	}
	return ErrSyntax
}

// skipMembers is members for values that nobody wants.
func (s *Scanner) skipMembers(closing byte, object bool) error {
	s.pos++
	if s.depth++; s.depth > maxDepth {
		return ErrDeep
	}
	for first := true; ; first = false {
		c := s.space()
		if c == closing && (first || s.dialect == Python) {
			break
		}
		if object && s.dialect == JSON && c != '"' {
			return ErrSyntax
		}
		if err := s.Skip(); err != nil {
			return err
		}
		c = s.space()
		if object {
			if c != ':' {
				return ErrSyntax
			}
			s.pos++
			if err := s.Skip(); err != nil {
				return err
			}
			c = s.space()
		}
		if c == closing {
			break
		}
		if c != ',' {
			return ErrSyntax
		}
		s.pos++
	}
	s.pos++
	s.depth--
	return nil
}

var words = [2][]string{JSON: {"true", "false", "null"}, Python: {"True", "False", "None"}}

// word steps over true, false or null.
func (s *Scanner) word() error {
	for _, w := range words[s.dialect] {
		if bytes.HasPrefix(s.text[s.pos:], []byte(w)) {
			s.pos += len(w)
			if s.pos < len(s.text) && isWordByte(s.text[s.pos]) {
				return ErrSyntax
			}
			return nil
		}
	}
	return ErrSyntax
}

func isWordByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '.'
}
