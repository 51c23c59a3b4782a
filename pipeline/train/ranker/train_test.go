package ranker

import (
	"context"
	"errors"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mllm4rec/export/llama"
	"mllm4rec/export/weights"
	"mllm4rec/pipeline/worker"
)

// left is everything that a run leaves behind and that must not depend on how often it was interrupted.
func left(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for _, name := range []string{"adapter/adapter_model.safetensors", "adapter/adapter_config.json"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		must(t, err)
		all[name] = data
	}
	file, err := weights.Open(filepath.Join(dir, "checkpoint", "last.safetensors"))
	must(t, err)
	defer func() { _ = file.Close() }()
	for _, name := range file.Names() {
		tensor, err := file.Tensor(name)
		must(t, err)
		all[name] = tensor.Data
	}
	return all
}

func same(t *testing.T, got, want map[string][]byte) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if !slices.Equal(got[name], want[name]) {
			t.Errorf("%s differs", name)
		}
	}
}

func TestResumedRunsGiveTheSameBits(t *testing.T) {
	for loss, negatives := range map[string]string{"verbalizer": "mixed", "causal": "random"} {
		t.Run(loss, func(t *testing.T) {
			spec := tiny(t)
			spec.Loss, spec.Negatives = loss, negatives
			_, _, err := train(t, spec)
			must(t, err)
			whole := left(t, spec.Out)
			spec.Out = t.TempDir()
			for stop := 1; ; stop++ { // each part ends after another number of events
				ctx, cancel := context.WithCancel(t.Context())
				seen := 0
				_, err := Train(ctx, spec, func(worker.Event) {
					if seen++; seen > stop {
						cancel()
					}
				})
				cancel()
				if err == nil {
					break
				}
				if !errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
			}
			same(t, left(t, spec.Out), whole)
		})
	}
}

func TestSameSeedSameBitsOtherSeedOthers(t *testing.T) {
	spec := tiny(t)
	run := func(seed int64) map[string][]byte {
		spec.Seed, spec.Out = seed, t.TempDir()
		_, _, err := train(t, spec)
		must(t, err)
		return left(t, spec.Out)
	}
	first := run(1)
	same(t, run(1), first)
	if slices.Equal(run(2)["adapters"], first["adapters"]) {
		t.Error("another seed gave the same adapter")
	}
}

func TestBothLossesLearnThePattern(t *testing.T) {
	for _, loss := range []string{"verbalizer", "causal"} {
		t.Run(loss, func(t *testing.T) {
			spec := tiny(t)
			spec.Loss, spec.Negatives, spec.Dropout, spec.Targets = loss, "retriever", 0, worker.RankerTargets
			spec.MaxSteps, spec.ValidateEvery, spec.Schedule = 150, 50, "cosine"
			result, events, err := train(t, spec)
			must(t, err)
			var losses []float64
			for _, e := range events {
				if e.Kind == worker.Progress {
					losses = append(losses, e.Loss)
				}
			}
			if first, last := losses[0], losses[len(losses)-1]; last > first/3 {
				t.Errorf("the loss went from %v to %v", first, last)
			}
			if result.Steps != 150 || result.BestStep == 0 || result.Samples != 150/6*30 || result.SamplesInAll != 30 || result.ValidationUsers != 9 {
				t.Errorf("result %+v", result)
			}
			if events[0].Kind != worker.Started || events[0].Sequences != 30 || events[1].Kind != worker.Validated || events[1].Step != 0 {
				t.Errorf("first events %+v", events[:2])
			}
		})
	}
}

func TestTheBestAdapterIsPublishedNotTheLast(t *testing.T) {
	spec := tiny(t)
	spec.LearningRate, spec.ClipNorm = 0, 0 // nothing changes: the start stays the best
	result, _, err := train(t, spec)
	must(t, err)
	adapter, err := llama.ReadAdapter(result.Adapter)
	must(t, err)
	if result.BestStep != 0 || adapter.Metadata["mllm4rec.step"] != "0" {
		t.Errorf("best step %d, metadata %v", result.BestStep, adapter.Metadata)
	}
	for module, pair := range adapter.Pairs {
		if slices.Max(pair.B) != 0 || slices.Max(pair.A) == 0 {
			t.Errorf("%s is not as it began", module)
		}
	}
}

func TestAnAdapterGoesOnWhereItEnded(t *testing.T) {
	spec := tiny(t)
	spec.Rank, spec.Alpha, spec.Targets = 4, 8, []string{"k_proj", "down_proj"}
	first, _, err := train(t, spec)
	must(t, err)
	spec.Init, spec.Out = first.Adapter, t.TempDir()
	spec.Rank, spec.Alpha, spec.Targets = 8, 32, []string{"q_proj"} // what the adapter has counts
	second, events, err := train(t, spec)
	must(t, err)
	if got, want := events[1].Metrics, first.Best; !maps.Equal(got, want) {
		t.Errorf("begins with %v, the adapter had %v", got, want)
	}
	adapter, err := llama.ReadAdapter(second.Adapter)
	must(t, err)
	if adapter.Rank != 4 || adapter.Scale() != 2 || !slices.Equal(adapter.Targets(), []string{"k_proj", "down_proj"}) {
		t.Errorf("rank %d, scale %v, targets %q", adapter.Rank, adapter.Scale(), adapter.Targets())
	}
}

func TestDivergenceIsToldAndTheStartKept(t *testing.T) {
	spec := tiny(t)
	made := open(t, spec)
	adapter := made.model.Adapter()
	adapter.Pairs["model.layers.1.self_attn.v_proj"].B[3] = float32(math.NaN())
	spec.Init = t.TempDir()
	must(t, adapter.Write(spec.Init, "base", weights.F32))
	_, events, err := train(t, spec)
	if err == nil || !strings.Contains(err.Error(), "diverged at step 1") || !strings.Contains(err.Error(), "learning_rate") {
		t.Fatalf("error %v", err)
	}
	if last := events[len(events)-1]; last.Kind != worker.Checkpointed || last.Step != 0 {
		t.Errorf("last event %+v", last)
	}
}

// A run that ran out of memory goes on with a smaller bound: the bits are the same.
func TestAnotherBoundOfMemoryResumes(t *testing.T) {
	spec := tiny(t)
	_, _, err := train(t, spec)
	must(t, err)
	whole := left(t, spec.Out)
	spec.Out, spec.MaxSteps = t.TempDir(), 6
	_, _, err = train(t, spec)
	must(t, err)
	spec.MaxSteps, spec.ActivationBytes = 12, 2_000_000
	_, events, err := train(t, spec)
	must(t, err)
	if events[0].Step != 6 || events[0].Note != "" {
		t.Errorf("first event %+v", events[0])
	}
	same(t, left(t, spec.Out), whole)
}

func TestOtherSettingsOrTablesDoNotResume(t *testing.T) {
	spec := tiny(t)
	spec.MaxSteps = 2
	_, _, err := train(t, spec)
	must(t, err)
	for name, change := range map[string]func(){
		"a setting": func() { spec.Rank = 4 },
		"a table": func() {
			text, err := os.ReadFile(spec.Items)
			must(t, err)
			must(t, os.WriteFile(spec.Items, append(slices.Clone(text[:4]), text[4:]...), 0o600)) // the same
			spec.Items = tiny(t).Items
		},
		"a template": func() { must(t, os.WriteFile(spec.Template, []byte("Look:\n"+pattern), 0o600)) },
	} {
		change()
		_, events, err := train(t, spec)
		must(t, err)
		if resumed := events[0].Note == ""; resumed != (name == "a table") {
			t.Errorf("%s: first event %+v", name, events[0])
		}
	}
}

func TestWrongInputsAreNamed(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(t *testing.T, spec *worker.RankerSpec)
		want  string
	}{
		"no base":      {func(_ *testing.T, s *worker.RankerSpec) { s.Base += "x" }, "no such model"},
		"no tokenizer": {func(_ *testing.T, s *worker.RankerSpec) { s.Tokenizer = s.Base + "x" }, "no such file"},
		"truncated weights": {func(t *testing.T, s *worker.RankerSpec) {
			path := filepath.Join(s.Base, "model.safetensors")
			must(t, os.Truncate(path, 5000))
		}, "model.safetensors"},
		"no GPU":       {func(_ *testing.T, s *worker.RankerSpec) { s.Device, s.GPU = "cuda", 99 }, " GPU"},
		"no template":  {func(_ *testing.T, s *worker.RankerSpec) { s.Template = "none.txt" }, "none.txt"},
		"no items":     {func(_ *testing.T, s *worker.RankerSpec) { s.Items += "x" }, "items.parquetx"},
		"a small room": {func(_ *testing.T, s *worker.RankerSpec) { s.PromptTokens = 60 }, "raise ranker.max_tokens"},
		"an adapter of rank 0": {func(t *testing.T, s *worker.RankerSpec) {
			dir := t.TempDir()
			must(t, open(t, *s).model.Adapter().Write(dir, "base", weights.F32))
			s.Init = dir
			path := filepath.Join(dir, "adapter_config.json")
			text, err := os.ReadFile(path)
			must(t, err)
			must(t, os.WriteFile(path, []byte(strings.Replace(string(text), `"r": 8`, `"r": 0`, 1)), 0o600))
		}, "r is 0"},
		"an empty adapter": {func(t *testing.T, s *worker.RankerSpec) { s.Init = t.TempDir() }, "adapter_config.json"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := tiny(t)
			c.spoil(t, &spec)
			_, events, err := train(t, spec)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") || len(events) > 0 {
				t.Errorf("error %v after %d events, want one line with %q", err, len(events), c.want)
			}
		})
	}
}
