package table_test

import (
	"fmt"
	"os"
	"path/filepath"

	"mllm4rec/data/table"
)

func Example() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "sequences.parquet")

	w, err := table.Create[table.Sequence](path)
	if err != nil {
		panic(err)
	}
	defer w.Abort() // nothing is left if an error comes before Commit
	if err := w.Write(table.Sequence{UserID: 1, Train: []int32{4, 2, 9}, Val: 7, Test: 3}); err != nil {
		panic(err)
	}
	if err := w.Commit(); err != nil {
		panic(err)
	}

	r, err := table.Open[table.Sequence](path)
	if err != nil {
		panic(err)
	}
	defer func() { _ = r.Close() }()
	for s, err := range r.Rows() {
		if err != nil {
			panic(err)
		}
		fmt.Println(s.UserID, s.Train, s.Val, s.Test)
	}
	// Output: 1 [4 2 9] 7 3
}
