package recommend

import (
	"context"
	"path/filepath"

	"mllm4rec/data/table"
	"mllm4rec/internal/fail"
	"mllm4rec/pipeline/retrieve"
	"mllm4rec/runtime/serve"
)

// people are the users of the tables; those of a slice are by user_id, with 0 unused.
type people struct {
	sources  []string
	bySource map[string]int32
	history  [][]int32 // oldest first
}

// readPeople reads the users and what they had, and counts in items what is popular.
func readPeople(ctx context.Context, dir string, items *catalogue) (*people, error) {
	p := &people{sources: []string{""}, bySource: map[string]int32{}}
	path := filepath.Join(dir, "users.parquet")
	err := table.Each(path, func(row table.User) error {
		if int(row.UserID) != len(p.sources) {
			return fail.Usagef("%s: row %d has user_id %d; users are numbered from 1, in order", path, len(p.sources), row.UserID)
		}
		p.sources = append(p.sources, row.SourceID)
		p.bySource[row.SourceID] = row.UserID
		return nil
	})
	if err != nil {
		return nil, err
	}
	p.history = make([][]int32, len(p.sources))
	path = filepath.Join(dir, "sequences.parquet")
	return p, retrieve.EachChunk(ctx, path, "users", nil, func(rows []table.Sequence) error {
		for _, row := range rows {
			if row.UserID < 1 || int(row.UserID) > p.size() {
				return fail.Usagef("it has user %d, and the run has users 1…%d: the tables are of different runs", row.UserID, p.size())
			}
			p.history[row.UserID] = append(retrieve.History(row, retrieve.Test), row.Test)
		}
		return retrieve.CheckAndCount(rows, items.counts)
	})
}

func (p *people) size() int { return len(p.sources) - 1 }

// find is the user that a reference names, 0 where there is none.
func (p *people) find(r serve.Ref) int32 {
	if r.ID == 0 {
		return p.bySource[r.Source]
	}
	if r.ID < 1 || int(r.ID) > p.size() {
		return 0
	}
	return r.ID
}
