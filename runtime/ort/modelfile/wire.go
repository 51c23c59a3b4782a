package modelfile

import (
	"fmt"
	"io"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

const (
	// window is how much of the file is held at once.
	window = 64 << 10
	// maxText is the longest name that is read.
	maxText = 32 << 10
	// MaxValue is the longest metadata value that is read, in bytes. The tokenizer.json of a captioner has a few million bytes.
	MaxValue = 16 << 20
)

// file reads a file through a window that moves over it.
type file struct {
	source io.ReaderAt
	size   int64
	buffer []byte
	start  int64 // of buffer in the file
}

// span is a part of the file, from start up to end.
type span struct{ start, end int64 }

func (s span) len() int64 { return s.end - s.start }

// field is one field of a protobuf message: value for a number, span for everything with a length.
type field struct {
	number protowire.Number
	wire   protowire.Type
	value  uint64
	span
}

// at returns up to n bytes from offset on, fewer at the end of the file. They stay valid until the next call.
func (f *file) at(offset int64, n int) ([]byte, error) {
	n = int(min(int64(n), f.size-offset))
	if offset < f.start || offset+int64(n) > f.start+int64(len(f.buffer)) {
		f.buffer, f.start = make([]byte, max(n, int(min(window, f.size-offset)))), offset
		if _, err := io.ReadFull(io.NewSectionReader(f.source, offset, f.size-offset), f.buffer); err != nil {
			return nil, fmt.Errorf("byte %d: %w", offset, err)
		}
	}
	return f.buffer[offset-f.start:][:n], nil
}

// fields calls each with every field of the message that s holds.
func (f *file) fields(s span, each func(field) error) error {
	for s.start < s.end {
		next, err := f.next(&s)
		if err != nil {
			return err
		}
		if err := each(next); err != nil {
			return err
		}
	}
	return nil
}

// next reads the field at the head of s, and moves s behind it.
func (f *file) next(s *span) (field, error) {
	at := s.start
	// A tag and a number take 10 bytes each at most.
	head, err := f.at(at, int(min(20, s.len())))
	if err != nil {
		return field{}, err
	}
	number, wire, n := protowire.ConsumeTag(head)
	if n < 0 {
		return field{}, fmt.Errorf("byte %d: not an ONNX file, or a broken one: %w", at, protowire.ParseError(n))
	}
	value, m := consumeNumber(wire, head[n:])
	if m < 0 {
		return field{}, fmt.Errorf("byte %d: not an ONNX file, or a broken one: field %d: %w", at, number, protowire.ParseError(m))
	}
	s.start += int64(n + m)
	out := field{number: number, wire: wire, value: value}
	if wire == protowire.BytesType {
		if value > uint64(s.len()) {
			return field{}, fmt.Errorf("byte %d: field %d says %d bytes, %d are left: the file is cut short, or no ONNX file", at, number, value, s.len())
		}
		out.span = span{s.start, s.start + int64(value)}
		s.start = out.end
	}
	return out, nil
}

// consumeNumber reads a number, or the length of what has one. Groups are not in onnx.proto and are refused.
func consumeNumber(wire protowire.Type, b []byte) (uint64, int) {
	switch wire {
	case protowire.VarintType, protowire.BytesType:
		return protowire.ConsumeVarint(b)
	case protowire.Fixed32Type:
		v, n := protowire.ConsumeFixed32(b)
		return uint64(v), n
	case protowire.Fixed64Type:
		return protowire.ConsumeFixed64(b)
	}
	return 0, -1
}

// message checks that a field is one with a length, as messages, strings and packed numbers are.
func (f *field) message() error {
	if f.wire != protowire.BytesType {
		return fmt.Errorf("field %d is a number, want a message", f.number)
	}
	return nil
}

// varint is the value of a field that must be a number. A parser that skips a field of the wrong kind, as protobuf's own
// do, would read another value than this one.
func (f *field) varint() (int64, error) {
	if f.wire != protowire.VarintType {
		return 0, fmt.Errorf("field %d is no number", f.number)
	}
	return int64(f.value), nil
}

// flag is an enumeration of 0 and 1. Protobuf would skip other values and keep an earlier one.
func (f *field) flag() (bool, error) {
	v, err := f.varint()
	if err == nil && v != 0 && v != 1 {
		err = fmt.Errorf("field %d is %d, want 0 or 1", f.number, v)
	}
	return v == 1, err
}

// text reads a string that is a name.
func (f *file) text(s field) (string, error) { return f.longText(s, maxText) }

// longText reads a string of at most so many bytes.
func (f *file) longText(s field, most int64) (string, error) {
	if err := s.message(); err != nil {
		return "", err
	}
	if s.len() > most {
		return "", fmt.Errorf("byte %d: a text of %d bytes, at most %d are read", s.start, s.len(), most)
	}
	b, err := f.at(s.start, int(s.len()))
	if err != nil {
		return "", err
	}
	if !utf8.Valid(b) {
		return "", fmt.Errorf("byte %d: a text that is not UTF-8", s.start)
	}
	return string(b), nil
}

// numbers appends the numbers of a repeated varint field, packed or not, and refuses more than most in all.
func (f *file) numbers(to []int64, s field, most int) ([]int64, error) {
	if s.wire == protowire.VarintType {
		to = append(to, int64(s.value))
	} else if err := s.message(); err != nil {
		return nil, err
	}
	for s.len() > 0 {
		if len(to) > most {
			break
		}
		b, err := f.at(s.start, int(min(10, s.len())))
		if err != nil {
			return nil, err
		}
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return nil, fmt.Errorf("byte %d: %w", s.start, protowire.ParseError(n))
		}
		to, s.start = append(to, int64(v)), s.start+int64(n)
	}
	if len(to) > most {
		return nil, fmt.Errorf("byte %d: more than %d numbers", s.start, most)
	}
	return to, nil
}

// count counts the numbers of a repeated field: bytesEach a number where they are fixed, varints where it is 0.
func (f *file) count(s field, bytesEach int64) (int64, error) {
	if s.wire != protowire.BytesType {
		return 1, nil
	}
	if bytesEach > 0 {
		if s.len()%bytesEach != 0 {
			return 0, fmt.Errorf("byte %d: %d bytes are no whole number of values", s.start, s.len())
		}
		return s.len() / bytesEach, nil
	}
	var n int64
	for s.len() > 0 {
		b, err := f.at(s.start, int(min(window, s.len())))
		if err != nil {
			return 0, err
		}
		for _, c := range b {
			if c < 0x80 { // the last byte of a varint
				n++
			}
		}
		s.start += int64(len(b))
	}
	return n, nil
}
