package lrurec

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mllm4rec/export/weights"
	"mllm4rec/pipeline/train/torch"
	"mllm4rec/pipeline/worker"
	"mllm4rec/runtime/ort/orttest"
)

func train(t *testing.T, spec worker.RetrieverSpec) (worker.RetrieverResult, []worker.Event, error) {
	t.Helper()
	var events []worker.Event
	result, err := Train(t.Context(), spec, func(e worker.Event) { events = append(events, e) })
	return result, events, err
}

// final is everything that a run leaves behind and that must not depend on how often it was interrupted.
func final(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for _, name := range []string{"retriever.safetensors", "retriever.json"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		all[name] = data
	}
	file, err := weights.Open(filepath.Join(dir, "checkpoint", "last.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	for _, name := range file.Names() {
		tensor, err := file.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
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
	for _, loss := range []string{"softmax", "sampled_softmax", "gbce"} {
		t.Run(loss, func(t *testing.T) {
			spec := tiny(t)
			spec.Loss = loss
			if loss == "softmax" {
				spec.Average = 0.9
			}
			if _, _, err := train(t, spec); err != nil {
				t.Fatal(err)
			}
			whole := final(t, spec.Out)

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
			same(t, final(t, spec.Out), whole)
			checkLog(t, spec)
		})
	}
}

// checkLog wants every line of an unbroken run, once, in order.
func checkLog(t *testing.T, spec worker.RetrieverSpec) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(spec.Out, "train_log.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for step := 1; step <= spec.MaxSteps; step++ {
		if step%spec.LogEvery == 0 {
			want = append(want, fmt.Sprintf(`{"step":%d,"loss":`, step))
		}
		if step%spec.ValidateEvery == 0 {
			want = append(want, fmt.Sprintf(`{"step":%d,"val":{`, step))
		}
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d lines, want %d:\n%s", len(lines), len(want), text)
	}
	for i := range want {
		if !strings.HasPrefix(lines[i], want[i]) {
			t.Errorf("line %d is %s, want %s…", i+1, lines[i], want[i])
		}
	}
}

func TestSameSeedSameBitsOtherSeedOthers(t *testing.T) {
	spec := tiny(t)
	spec.MaxSteps = 20
	run := func(seed int64) map[string][]byte {
		spec.Seed, spec.Out = seed, t.TempDir()
		if _, _, err := train(t, spec); err != nil {
			t.Fatal(err)
		}
		return final(t, spec.Out)
	}
	first := run(1)
	same(t, run(1), first)
	if slices.Equal(run(2)["table"], first["table"]) {
		t.Error("another seed gave the same table")
	}
}

func TestEveryLossLearnsToWalk(t *testing.T) {
	for _, loss := range []string{"softmax", "sampled_softmax", "gbce"} {
		spec := tiny(t)
		spec.Loss, spec.MaxSteps, spec.ValidateEvery, spec.Dropout, spec.LRUDropout, spec.LearningRate = loss, 600, 200, 0, 0, 0.01
		spec.Schedule, spec.Warmup, spec.Sampling = "cosine", 20, "uniform"
		result, events, err := train(t, spec)
		if err != nil {
			t.Fatal(err)
		}
		if result.Best["ndcg@10"] < 0.6 { // a random ranking of 30 items has 0.15
			t.Errorf("%s: best %v", loss, result.Best)
		}
		first, last := events[0], events[len(events)-1]
		if first.Kind != worker.Started || first.Sequences == 0 || last.Kind != worker.Checkpointed || last.Step != 600 {
			t.Errorf("%s: first event %+v, last %+v", loss, first, last)
		}
	}
}

func TestPatienceEndsTheRunAndKeepsTheBest(t *testing.T) {
	spec := tiny(t)
	spec.LearningRate, spec.Patience, spec.MaxSteps, spec.ValidateEvery = 0, 2, 1000, 5 // nothing changes: never better
	result, _, err := train(t, spec)
	if err != nil {
		t.Fatal(err)
	}
	if result.Reason != "patience" || result.Steps != 15 || result.BestStep != 5 {
		t.Errorf("result %+v", result)
	}
	again, events, err := train(t, spec)
	if err != nil || again.Steps != 15 || events[0].Step != 15 {
		t.Errorf("a finished run, called again: %+v, first event %+v, error %v", again, events[0], err)
	}
}

func TestOtherSettingsDoNotResume(t *testing.T) {
	spec := tiny(t)
	spec.MaxSteps = 10
	if _, _, err := train(t, spec); err != nil {
		t.Fatal(err)
	}
	spec.Hidden = 8
	_, events, err := train(t, spec)
	if err != nil || events[0].Step != 0 || !strings.Contains(events[0].Note, "other settings") {
		t.Errorf("first event %+v, error %v", events[0], err)
	}
}

func TestDivergenceMovesNothing(t *testing.T) {
	spec := tiny(t)
	spec.Average = 0.9
	data, err := readSequences(t.Context(), spec.Sequences, spec.NumItems, spec.MaxLength)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := newTask(engine(t, 1), spec, data)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.model.Close()
	if _, _, err := tr.Step(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	tr.model.blocks[1].w1.Data[3] = float32(math.Inf(1))
	memory := func() map[string][]byte {
		all := map[string][]byte{}
		for _, tensor := range tr.Tensors() {
			all[tensor.Name] = slices.Clone(tensor.Data)
		}
		return all
	}
	before := memory()
	loss, norm, err := tr.Step(t.Context(), 1)
	if err != nil || finite(loss) && finite(norm) {
		t.Fatalf("loss %v, norm %v, error %v", loss, norm, err)
	}
	same(t, memory(), before)
}

func TestTornCheckpointSaysWhatToDo(t *testing.T) {
	spec := tiny(t)
	path := filepath.Join(spec.Out, "checkpoint", "last.safetensors")
	if err := errors.Join(os.Mkdir(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("torn"), 0o644)); err != nil {
		t.Fatal(err)
	}
	_, _, err := train(t, spec)
	if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "to train anew") {
		t.Errorf("error %v", err)
	}
}

func TestValidationRanksAmongTheWholeCatalogue(t *testing.T) {
	e := engine(t, 2)
	data := &sequences{counts: make([]int64, 31)}
	for _, row := range walks(40, 30) {
		data.add(row, 8)
	}
	m := NewModel(e, Shape{Items: 30, Hidden: 8, Channels: 16, Blocks: 2}, 24)
	defer m.Close()
	m.Initialise(1, 0.8, 0.99)
	v := newValidator(m, data, 24) // three users at most at a time
	for next := 0; next < len(data.checks); {
		next = v.collect(next, len(v.rank))
		v.rankBatch()
		for i, label := range v.labels {
			scores := v.scores.Data[i*31 : (i+1)*31]
			want := int32(0)
			for item := 1; item <= 30; item++ {
				if scores[item]+m.itemBias[item] > scores[label]+m.itemBias[label] {
					want++
				}
			}
			if v.rank[i] != want {
				t.Errorf("label %d has rank %d, want %d", label, v.rank[i], want)
			}
		}
	}
}

func TestMemoryIsFlatOver10000Steps(t *testing.T) {
	spec := tiny(t)
	data, err := readSequences(t.Context(), spec.Sequences, spec.NumItems, spec.MaxLength)
	if err != nil {
		t.Fatal(err)
	}
	spec.MaxSteps, spec.Hidden = 1<<30, 8
	e := engine(t, 1)
	tr, err := newTask(e, spec, data)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.model.Close()
	before := int64(0)
	for i := range 10_000 {
		if i == 1000 {
			before = orttest.Resident(t)
		}
		if _, _, err := tr.Step(t.Context(), i); err != nil {
			t.Fatal(err)
		}
	}
	if grown := orttest.Resident(t) - before; grown > 8<<20 {
		t.Errorf("9,000 steps left %d bytes", grown)
	}
}

func TestExportComesBackByImport(t *testing.T) {
	e := engine(t, 1)
	shape := Shape{Items: 9, Hidden: 8, Channels: 6, Blocks: 2}
	a, b := NewModel(e, shape, 4), NewModel(e, shape, 4)
	defer a.Close()
	defer b.Close()
	a.Initialise(1, 0.8, 0.99)
	path := filepath.Join(t.TempDir(), "w.safetensors")
	if err := weights.Write(path, a.Export(), nil); err != nil {
		t.Fatal(err)
	}
	file, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	err = b.Import(func(name string) ([]float32, error) {
		values, _, err := file.Float32(name)
		return values, err
	})
	if err != nil || !slices.Equal(a.dense.Data, b.dense.Data) || !slices.Equal(a.table.Data, b.table.Data) || !slices.Equal(a.itemBias, b.itemBias) {
		t.Errorf("weights differ after a round trip, error %v", err)
	}
}

func TestInitialisationIsThePapers(t *testing.T) {
	e := torch.NewEngine(1)
	m := NewModel(e, Shape{Items: 5000, Hidden: 16, Channels: 400, Blocks: 1}, 4)
	m.Initialise(9, 0.8, 0.99)
	var sum, squares float64
	for _, w := range m.table.Data {
		sum, squares = sum+float64(w), squares+float64(w)*float64(w)
		if math.Abs(float64(w)) > 0.04 {
			t.Fatalf("weight %v beyond two deviations", w)
		}
	}
	n := float64(len(m.table.Data))
	// A normal cut at two deviations keeps 0.88 of its deviation.
	if math.Abs(sum/n) > 2e-4 || math.Abs(math.Sqrt(squares/n)-0.0176) > 2e-4 {
		t.Errorf("mean %v, deviation %v", sum/n, math.Sqrt(squares/n))
	}
	b := m.blocks[0]
	b.prepare()
	for c := range 400 {
		radius := math.Hypot(float64(b.lambda[c]), float64(b.lambda[400+c]))
		gamma := math.Exp(float64(b.logs.value[800+c]))
		if radius < 0.8 || radius > 0.99 || math.Abs(gamma*gamma+radius*radius-1) > 1e-4 {
			t.Fatalf("channel %d: |λ| %v, γ %v", c, radius, gamma)
		}
	}
	m.Close()
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}
