package lrurec

import (
	"math/rand/v2"
	"path/filepath"
	"testing"

	"mllm4rec/data/table"
	"mllm4rec/pipeline/train/torch"
	"mllm4rec/pipeline/worker"
)

func engine(t *testing.T, threads int) *torch.Engine {
	t.Helper()
	e := torch.NewEngine(threads)
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// walks are users who go round the catalogue, each in steps of their own: what comes next follows from what came before.
func walks(users, items int) []table.Sequence {
	r := rand.New(rand.NewPCG(5, 5))
	rows := make([]table.Sequence, users)
	for u := range rows {
		at, stride := r.IntN(items), 1+r.IntN(3)
		next := func() int32 {
			at = (at + stride) % items
			return int32(at + 1)
		}
		row := table.Sequence{UserID: int32(u + 1)}
		for range 3 + r.IntN(12) {
			row.Train = append(row.Train, next())
		}
		row.Val, row.Test = next(), next()
		rows[u] = row
	}
	return rows
}

// tiny is a spec that trains in a moment, and its data on disk.
func tiny(t *testing.T) worker.RetrieverSpec {
	t.Helper()
	const items = 30
	spec := worker.DefaultRetriever()
	spec.Sequences = filepath.Join(t.TempDir(), "sequences.parquet")
	if err := table.WriteAll(spec.Sequences, walks(60, items)); err != nil {
		t.Fatal(err)
	}
	spec.Out, spec.NumItems, spec.Hidden, spec.MaxLength, spec.Batch, spec.Threads = t.TempDir(), items, 16, 8, 8, 2
	spec.MaxSteps, spec.ValidateEvery, spec.CheckpointEvery, spec.LogEvery, spec.Patience = 60, 20, 7, 5, 0
	spec.Negatives = 10
	return spec
}
