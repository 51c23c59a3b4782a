package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mllm4rec/data/table"
	"mllm4rec/export/llama"
	"mllm4rec/export/llama/llamatest"
	"mllm4rec/internal/fail"
	"mllm4rec/pipeline/worker"
)

// prepareRanker writes a tiny model and small tables, and returns a spec for them.
func prepareRanker(t *testing.T) worker.RankerSpec {
	t.Helper()
	dir, spec := t.TempDir(), worker.DefaultRanker()
	spec.Base, spec.Out = filepath.Join(dir, "base"), t.TempDir()
	spec.Sequences, spec.Items, spec.Validation = filepath.Join(dir, "s.parquet"), filepath.Join(dir, "i.parquet"), filepath.Join(dir, "c.parquet")
	spec.Template = filepath.Join(dir, "template.txt")
	var items []table.Item
	for i := range int32(15) {
		items = append(items, table.Item{ItemID: i + 1, Title: fmt.Sprintf("film %d", i)})
	}
	var rows []table.Sequence
	var found []table.Candidates
	for u := range int32(10) {
		train := []int32{u + 1, u + 2, u + 3, u + 4}
		rows = append(rows, table.Sequence{UserID: u + 1, Train: train, Val: u + 5, Test: u + 6})
		found = append(found, table.Candidates{UserID: u + 1, Split: "val", Label: u + 5, Items: []int32{1 + (u+8)%15, u + 5, 1 + (u+9)%15}, Scores: []float32{3, 2, 1}})
	}
	for _, err := range []error{
		llamatest.Write(spec.Base, 1), os.WriteFile(spec.Template, []byte("Seen:\n{number}. {item}\nNext:\n({letter}) {item}\nIt is ({answer}"), 0o600),
		table.WriteAll(spec.Sequences, rows), table.WriteAll(spec.Items, items), table.WriteAll(spec.Validation, found),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	spec.Candidates, spec.PromptTokens, spec.MicroTokens, spec.Batch, spec.Threads = 5, 400, 500, 4, 2
	spec.MaxSteps, spec.ValidateEvery, spec.CheckpointEvery, spec.LogEvery = 25, 10, 2, 1
	return spec
}

func TestARankerKilledAndResumedGivesTheSameBits(t *testing.T) {
	t.Parallel()
	const published = "adapter/adapter_model.safetensors"
	spec := prepareRanker(t)
	var kinds []string
	result, err := worker.TrainRanker(t.Context(), os.Args[0], spec, func(e worker.Event) { kinds = append(kinds, e.Kind) })
	if err != nil {
		t.Fatal(err)
	}
	if result.Steps != 25 || result.Reason != "max_steps" || result.Samples != 100 || kinds[0] != worker.Started || kinds[len(kinds)-1] != worker.Finished {
		t.Errorf("result %+v, events %q", result, kinds)
	}
	if _, err := llama.ReadAdapter(result.Adapter); err != nil {
		t.Error(err)
	}
	whole := weightsOf(t, spec.Out, published)
	spec.Out = t.TempDir()
	killAndResume(t, "ranker", spec.Out, spec)
	compare(t, weightsOf(t, spec.Out, published), whole)
}

func TestARankerStoppedInsideAStepKeepsTheStepsBefore(t *testing.T) {
	t.Parallel()
	spec := prepareRanker(t)
	spec.MaxSteps, spec.CheckpointEvery, spec.ValidateEvery, spec.Patience, spec.Batch = 1<<29, 0, 1<<29, 0, 1<<10
	ctx, cancel := context.WithCancel(t.Context())
	var last, before worker.Event
	_, err := worker.TrainRanker(ctx, os.Args[0], spec, func(e worker.Event) {
		if before, last = last, e; e.Kind == worker.Progress {
			cancel()
		}
	})
	if err == nil || ctx.Err() == nil || last.Kind != worker.Failed || before.Kind != worker.Checkpointed || before.Step == 0 {
		t.Errorf("error %v, last events %+v, %+v", err, before, last)
	}
}

func TestWhatARankerCannotUseIsTheCallersMistake(t *testing.T) {
	t.Parallel()
	for want, spoil := range map[string]func(s *worker.RankerSpec) error{
		"trained on another base": func(s *worker.RankerSpec) error {
			other := *s
			other.Base, other.Out, other.MaxSteps = s.Base+"2", t.TempDir(), 1
			if err := llamatest.Write(other.Base, 2); err != nil {
				return err
			}
			result, err := worker.TrainRanker(t.Context(), os.Args[0], other, nil)
			s.Init = result.Adapter
			return err
		},
		"model.safetensors": func(s *worker.RankerSpec) error {
			return os.Truncate(filepath.Join(s.Base, "model.safetensors"), 9000)
		},
		"vocabulary of another model": func(s *worker.RankerSpec) error {
			text, err := os.ReadFile(filepath.Join(s.Base, "tokenizer.json"))
			if err != nil {
				return err
			}
			s.Tokenizer = filepath.Join(t.TempDir(), "tokenizer.json")
			return os.WriteFile(s.Tokenizer, []byte(strings.Replace(string(text), `"id": 257`, `"id": 270`, 1)), 0o600)
		},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			spec := prepareRanker(t)
			if err := spoil(&spec); err != nil {
				t.Fatal(err)
			}
			_, err := worker.TrainRanker(t.Context(), os.Args[0], spec, nil)
			if !fail.IsUsage(err) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v", err)
			}
		})
	}
}

// A limit on the worker's address space makes libtorch's allocator fail, as a machine without memory would.
func TestTooLittleMemoryIsOneClearError(t *testing.T) {
	t.Parallel()
	spec := prepareRanker(t)
	spec.MicroTokens = 1 << 20
	text, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(spec.Out, "spec.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	out, _ := exec.Command("sh", "-c", `ulimit -v 4000000 && exec "$0" ranker "$1"`, os.Args[0], path).Output()
	var event worker.Event
	if err := json.Unmarshal(out, &event); err != nil || event.Kind != worker.Failed || !strings.Contains(event.Error, "does not fit into memory") ||
		!strings.Contains(event.Error, "batch_tokens") {
		t.Errorf("output %s", out)
	}
}
