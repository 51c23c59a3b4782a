package ranker

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"mllm4rec/data/table"
	"mllm4rec/export/llama"
	"mllm4rec/export/llama/llamatest"
	"mllm4rec/pipeline/train/torch"
	"mllm4rec/pipeline/worker"
)

const (
	users   = 12
	items   = 20
	pattern = "Seen:\n({number}) {item}\nNext:\n({letter}) {item}\nIt is ({answer}"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// item is the n-th (from 0) that a user looks at: everybody walks up the catalogue from another place.
func item(user, n int) int32 { return int32((5*user+n)%items + 1) }

// tiny is a small model with small tables: user u of 1 … users has 3 + u%4 training items, and the retriever finds the
// answers of all users but the first three.
func tiny(t testing.TB) worker.RankerSpec {
	t.Helper()
	dir := t.TempDir()
	spec := worker.DefaultRanker()
	spec.Base, spec.Out = filepath.Join(dir, "base"), filepath.Join(dir, "out")
	must(t, llamatest.Write(spec.Base, 3))
	spec.Sequences, spec.Items = filepath.Join(dir, "sequences.parquet"), filepath.Join(dir, "items.parquet")
	spec.Validation, spec.NegativesTable = filepath.Join(dir, "candidates.parquet"), filepath.Join(dir, "negatives.parquet")
	spec.Template = filepath.Join(dir, "template.txt")
	must(t, os.WriteFile(spec.Template, []byte(pattern), 0o600))
	var sequences []table.Sequence
	var found []table.Candidates
	var hard []table.Negatives
	for u := 1; u <= users; u++ {
		row := table.Sequence{UserID: int32(u)}
		for n := range 3 + u%4 {
			row.Train = append(row.Train, item(u, n))
			if n >= 2 {
				proposed := []int32{item(u, n+9), item(u, n+10), item(u, n+11)}
				if u%2 == 0 { // the item that came next is found
					proposed = slices.Insert(proposed, u%4, item(u, n))
				}
				hard = append(hard, table.Negatives{UserID: int32(u), Position: int32(n), Items: proposed})
			}
		}
		n := len(row.Train)
		row.Val, row.Test = item(u, n), item(u, n+1)
		sequences = append(sequences, row)
		proposed := []int32{item(u, n+5), item(u, n+3), item(u, n+8), item(u, n+7)}
		if u > 3 {
			proposed[u%4] = row.Val
		}
		found = append(found, table.Candidates{UserID: int32(u), Split: "val", Label: row.Val, Items: proposed, Scores: []float32{4, 3, 2, 1}},
			table.Candidates{UserID: int32(u), Split: "test", Label: row.Test, Items: []int32{row.Test}, Scores: []float32{1}})
	}
	var catalogue []table.Item
	for i := range items {
		catalogue = append(catalogue, table.Item{ItemID: int32(i + 1), SourceID: fmt.Sprint(i), Title: fmt.Sprintf("film %c", 'a'+i)})
	}
	must(t, table.WriteAll(spec.Sequences, sequences))
	must(t, table.WriteAll(spec.Items, catalogue))
	must(t, table.WriteAll(spec.Validation, found))
	must(t, table.WriteAll(spec.NegativesTable, hard))
	spec.Candidates, spec.History, spec.PromptTokens = 4, 3, 300
	spec.Batch, spec.MicroTokens, spec.Threads = 5, 400, 2
	spec.MaxSteps, spec.ValidateEvery, spec.CheckpointEvery, spec.LogEvery, spec.Warmup, spec.LearningRate = 12, 4, 3, 1, 2, 1e-2
	return spec
}

func train(t testing.TB, spec worker.RankerSpec) (worker.RankerResult, []worker.Event, error) {
	t.Helper()
	var events []worker.Event
	result, err := Train(t.Context(), spec, func(e worker.Event) { events = append(events, e) })
	return result, events, err
}

// open makes a task as Train does.
func open(t testing.TB, spec worker.RankerSpec) *task {
	t.Helper()
	base, err := llama.Open(spec.Base)
	must(t, err)
	t.Cleanup(func() { _ = base.Close() })
	made := &task{spec: spec}
	start, err := made.prepare(t.Context(), base)
	must(t, err)
	engine := torch.NewEngine(spec.Threads)
	t.Cleanup(func() { must(t, engine.Close()) })
	must(t, made.newModel(engine, base, start))
	t.Cleanup(made.model.Close)
	return made
}
