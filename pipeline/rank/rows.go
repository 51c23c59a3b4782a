package rank

import (
	"errors"
	"iter"
	"slices"

	"mllm4rec/data/table"
	"mllm4rec/internal/fail"
	"mllm4rec/pipeline/retrieve"
)

// Row is what there is to rank for one user and split.
type Row struct {
	// History is what the user had before, oldest first.
	History    []int32
	Candidates table.Candidates
}

// rowSource reads sequences and candidates in step.
type rowSource struct {
	path       string // of the candidates
	sequences  *table.Reader[table.Sequence]
	candidates *table.Reader[table.Candidates]
	read       int64 // candidates' rows so far
}

func openRows(sequences, candidates string) (*rowSource, error) {
	s := &rowSource{path: candidates}
	var err error
	if s.sequences, err = table.Open[table.Sequence](sequences); err != nil {
		return nil, err
	}
	if s.candidates, err = table.Open[table.Candidates](candidates); err != nil {
		return nil, errors.Join(err, s.sequences.Close())
	}
	return s, nil
}

func (s *rowSource) close() error { return errors.Join(s.sequences.Close(), s.candidates.Close()) }

// rows gives the rows that are worth ranking, in the tables' order: of the validation split those that hold their answer.
func (s *rowSource) rows() iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		next, stop := iter.Pull2(s.sequences.Rows())
		defer stop()
		var user table.Sequence
		for c, err := range s.candidates.Rows() {
			for err == nil && user.UserID != c.UserID {
				var more bool
				if user, err, more = next(); !more {
					err = fail.Usagef("%s: user %d is none of the sequences', or not in their order: the tables are of different runs", s.path, c.UserID)
				}
			}
			if err == nil {
				s.read++
				if len(c.Items) == 0 || c.Split == retrieve.Val && !slices.Contains(c.Items, c.Label) {
					continue
				}
			}
			if !yield(Row{retrieve.History(user, c.Split), c}, err) || err != nil {
				return
			}
		}
	}
}

// chunks gives the rows n at a time; a chunk is the caller's.
func (s *rowSource) chunks(n int) iter.Seq2[[]Row, error] {
	return func(yield func([]Row, error) bool) {
		var chunk []Row
		for row, err := range s.rows() {
			if err != nil {
				yield(nil, err)
				return
			}
			if chunk = append(chunk, row); len(chunk) == n {
				if !yield(chunk, nil) {
					return
				}
				chunk = nil
			}
		}
		if len(chunk) > 0 {
			yield(chunk, nil)
		}
	}
}
