package source

import "bytes"

// splitter splits lines into fields. The fields are valid until the next split.
type splitter struct {
	delimiter byte
	fields    [][]byte
	scratch   []byte // fields with doubled quotes, undoubled
}

// csv splits a line of CSV (RFC 4180: quotes around a field, doubled inside). ok is false for a quote that is not closed
// or is followed by text.
func (s *splitter) csv(line []byte) (fields [][]byte, ok bool) {
	s.fields, s.scratch = s.fields[:0], s.scratch[:0]
	for {
		if len(line) > 0 && line[0] == '"' {
			field, rest, more, ok := s.quoted(line[1:])
			if !ok {
				return nil, false
			}
			s.fields = append(s.fields, field)
			if !more {
				return s.fields, true
			}
			line = rest
			continue
		}
		i := bytes.IndexByte(line, s.delimiter)
		if i < 0 {
			s.fields = append(s.fields, line)
			return s.fields, true
		}
		s.fields = append(s.fields, line[:i])
		line = line[i+1:]
	}
}

// quoted reads a quoted field, its opening quote already read. more is true where another field follows.
func (s *splitter) quoted(text []byte) (field, rest []byte, more, ok bool) {
	end := 0
	doubled := false
	for {
		j := bytes.IndexByte(text[end:], '"')
		if j < 0 {
			return nil, nil, false, false
		}
		end += j + 1
		if end == len(text) || text[end] != '"' {
			break
		}
		doubled = true
		end++
	}
	field = text[:end-1]
	if doubled {
		field = s.undouble(field)
	}
	switch {
	case end == len(text):
		return field, nil, false, true
	case text[end] == s.delimiter:
		return field, text[end+1:], true, true
	}
	return nil, nil, false, false
}

func (s *splitter) undouble(field []byte) []byte {
	start := len(s.scratch)
	for {
		i := bytes.IndexByte(field, '"')
		if i < 0 {
			s.scratch = append(s.scratch, field...)
			return s.scratch[start:]
		}
		s.scratch = append(s.scratch, field[:i+1]...)
		field = field[i+2:]
	}
}

// plain splits a line at delimiters, without quotes.
func (s *splitter) plain(line []byte) [][]byte {
	s.fields = s.fields[:0]
	for {
		i := bytes.IndexByte(line, s.delimiter)
		if i < 0 {
			s.fields = append(s.fields, line)
			return s.fields
		}
		s.fields = append(s.fields, line[:i])
		line = line[i+1:]
	}
}

// quoteScan tells whether a record ends within a quoted field. The record may grow; every byte is looked at once.
type quoteScan struct {
	delimiter byte
	seen      int
	open      bool // within a quoted field
	begun     bool // within a field of any kind
}

// openAt reads on to the end of the record.
func (q *quoteScan) openAt(record []byte) bool {
	for ; q.seen < len(record); q.seen++ {
		c := record[q.seen]
		switch {
		case q.open && c == '"':
			if q.seen+1 < len(record) && record[q.seen+1] == '"' {
				q.seen++
			} else {
				q.open = false
			}
		case !q.begun && c == '"':
			q.open = true
		}
		q.begun = q.open || c != q.delimiter
	}
	return q.open
}
