package ranker

import (
	"context"
	"fmt"
	"slices"

	"mllm4rec/data/table"
	"mllm4rec/internal/fail"
)

// minHistory is how many items a training prompt's history has at least, as in LlamaRec (arXiv 2311.02089).
const minHistory = 2

// sequences are all users' training items. Sample i of a user is: after the first minHistory + i items comes the next one.
type sequences struct {
	users []int32       // ids, in the table's order
	place map[int32]int // of an id in users
	train [][]int32
	first []int // [users+1] of each user, the first sample
}

// readSequences reads sequences.parquet; items is the size of the catalogue.
func readSequences(ctx context.Context, path string, items int) (*sequences, error) {
	s := &sequences{place: map[int32]int{}, first: []int{0}}
	err := eachRow(ctx, path, func(row int, sequence table.Sequence) error {
		for _, item := range sequence.Train {
			if item < 1 || int(item) > items {
				return fail.Usagef("item %d is not in the catalogue of %d items", item, items)
			}
		}
		if _, twice := s.place[sequence.UserID]; twice {
			return fail.Usagef("user %d is there twice", sequence.UserID)
		}
		s.place[sequence.UserID] = len(s.users)
		s.users, s.train = append(s.users, sequence.UserID), append(s.train, slices.Clip(sequence.Train))
		s.first = append(s.first, s.samples()+max(0, len(sequence.Train)-minHistory))
		return nil
	})
	if err == nil && s.samples() == 0 {
		err = fail.Usagef("%s: no user has %d training items, so there is nothing to learn", path, minHistory+1)
	}
	return s, err
}

// samples is how many there are.
func (s *sequences) samples() int { return s.first[len(s.first)-1] }

// sample is the i-th of all: the items of a user (its place) before position, and the one that came there.
func (s *sequences) sample(i int) (user, position int) {
	user, _ = slices.BinarySearch(s.first, i+1)
	user--
	return user, minHistory + i - s.first[user]
}

// index is the sample of a user (its place) and a position, -1 if there is none.
func (s *sequences) index(user, position int) int {
	if position < minHistory || position >= len(s.train[user]) {
		return -1
	}
	return s.first[user] + position - minHistory
}

// eachRow streams a table; errors of visit are said to be of the row, counted from 1.
func eachRow[T any](ctx context.Context, path string, visit func(row int, values T) error) error {
	reader, err := table.Open[T](path)
	if err != nil {
		return err
	}
	defer func() { _ = reader.Close() }()
	row := 0
	for values, err := range reader.Rows() {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		row++
		if err := visit(row, values); err != nil {
			return fmt.Errorf("%s: row %d: %w", path, row, err)
		}
	}
	return nil
}
