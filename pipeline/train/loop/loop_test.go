package loop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mllm4rec/export/weights"
	"mllm4rec/pipeline/worker"
)

// walker is a task whose weight depends on all steps before it; score says what a validation finds at a weight.
type walker struct {
	weight []float32
	score  func(weight float32) float64
	fail   map[int]error
	loss   float64 // of every step; 0: the weight
}

func newWalker() *walker {
	return &walker{weight: []float32{1}, score: func(w float32) float64 { return float64(w) }}
}

func (w *walker) Step(ctx context.Context, step int) (loss, norm float64, err error) {
	if err := errors.Join(ctx.Err(), w.fail[step]); err != nil {
		return 0, 0, err
	}
	w.weight[0] = w.weight[0]*1.01 + float32(step%7)
	if w.loss != 0 {
		return w.loss, 1, nil
	}
	return float64(w.weight[0]), 1, nil
}

func (w *walker) Rate(step int) float64 { return float64(step) }

func (w *walker) Validate(ctx context.Context) (map[string]float64, error) {
	return map[string]float64{"ndcg@10": w.score(w.weight[0])}, ctx.Err()
}

func (w *walker) Tensors() []weights.Tensor { return []weights.Tensor{View("w", w.weight, 1)} }

func (w *walker) Best() ([]weights.Tensor, map[string]string) {
	return w.Tensors(), map[string]string{"kind": "walker"}
}

func options(t *testing.T) Options {
	return Options{
		Out: t.TempDir(), Fingerprint: "f", Samples: 9,
		Bounds: worker.Bounds{MaxSteps: 40, ValidateEvery: 10, Metric: "ndcg@10", CheckpointEvery: 3, LogEvery: 4},
	}
}

func train(t *testing.T, o Options, task Task) (Result, []worker.Event) {
	t.Helper()
	var events []worker.Event
	result, err := Run(t.Context(), o, task, func(e worker.Event) { events = append(events, e) })
	if err != nil {
		t.Fatal(err)
	}
	return result, events
}

// logged are the lines of the log, without what depends on the clock.
func logged(t *testing.T, dir string) []line {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "train_log.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var lines []line
	for _, row := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		var l line
		if err := json.Unmarshal([]byte(row), &l); err != nil {
			t.Fatal(err)
		}
		l.Seconds = nil
		lines = append(lines, l)
	}
	return lines
}

func TestInterruptedRunsEndLikeUnbrokenOnes(t *testing.T) {
	t.Parallel()
	for _, first := range []bool{false, true} {
		t.Run(fmt.Sprint("validated first: ", first), func(t *testing.T) {
			t.Parallel()
			o, whole := options(t), newWalker()
			o.ValidateFirst = first
			want, _ := train(t, o, whole)
			broken := o
			broken.Out = t.TempDir()
			var task *walker
			var got Result
			for stop := 1; ; stop++ {
				task = newWalker()
				ctx, cancel := context.WithCancel(t.Context())
				seen := 0
				var err error
				got, err = Run(ctx, broken, task, func(worker.Event) {
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
			if task.weight[0] != whole.weight[0] || got.BestStep != want.BestStep || got.Step != want.Step {
				t.Errorf("weight %v, %+v; unbroken %v, %+v", task.weight[0], got, whole.weight[0], want)
			}
			a, _ := json.Marshal(logged(t, broken.Out))
			b, _ := json.Marshal(logged(t, o.Out))
			if string(a) != string(b) {
				t.Errorf("log\n%s\nunbroken\n%s", a, b)
			}
		})
	}
}

func TestValidationsBeforeTheFirstStepAndAfterTheLast(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		first, last bool
		max         int
		want        []int
	}{
		{false, false, 25, []int{10, 20}}, {true, false, 25, []int{0, 10, 20}}, {false, true, 25, []int{10, 20, 25}},
		{true, true, 20, []int{0, 10, 20}}, {false, false, 5, []int{5}},
	} {
		o := options(t)
		o.ValidateFirst, o.ValidateLast, o.MaxSteps = c.first, c.last, c.max
		_, events := train(t, o, newWalker())
		var steps []int
		for _, e := range events {
			if e.Kind == worker.Validated {
				steps = append(steps, e.Step)
			}
		}
		if !slices.Equal(steps, c.want) {
			t.Errorf("first %v, last %v, %d steps: validated at %v, want %v", c.first, c.last, c.max, steps, c.want)
		}
	}
}

func TestWhatTrainingBeganWithIsKeptWhereNothingIsBetter(t *testing.T) {
	t.Parallel()
	o, task := options(t), newWalker()
	o.ValidateFirst, o.Patience = true, 2
	task.score = func(w float32) float64 { return -float64(w) }
	result, _ := train(t, o, task)
	if result.BestStep != 0 || result.Reason != "patience" || result.Step != 20 || result.Best["ndcg@10"] != -1 {
		t.Errorf("result %+v", result)
	}
	file, err := weights.Open(result.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	kept := newWalker()
	kept.weight[0] = 9
	if err := Fill(kept.Tensors(), file); err != nil || kept.weight[0] != 1 || file.Metadata()["kind"] != "walker" {
		t.Errorf("weight %v, metadata %v, error %v", kept.weight[0], file.Metadata(), err)
	}
}

func TestAFinishedRunDoesNothingMore(t *testing.T) {
	t.Parallel()
	o := options(t)
	want, _ := train(t, o, newWalker())
	again, events := train(t, o, newWalker())
	if again.Step != want.Step || again.Reason != "max_steps" || events[0].Step != 40 || len(logged(t, o.Out)) != 14 {
		t.Errorf("%+v, first event %+v, %d lines", again, events[0], len(logged(t, o.Out)))
	}
}

func TestAFinishedRunGoesOnUnderWiderBounds(t *testing.T) {
	t.Parallel()
	o, long, whole := options(t), options(t), newWalker()
	long.MaxSteps = 60
	want, _ := train(t, long, whole)
	train(t, o, newWalker())
	o.MaxSteps = 60
	task := newWalker()
	got, events := train(t, o, task)
	if events[0].Step != 40 || got.Step != 60 || got.BestStep != want.BestStep || task.weight[0] != whole.weight[0] {
		t.Errorf("first event %+v, result %+v, want %+v", events[0], got, want)
	}
}

func TestDivergenceLeavesTheLastGoodCheckpoint(t *testing.T) {
	t.Parallel()
	for _, bad := range []float64{math.NaN(), math.Inf(1)} {
		o, task := options(t), newWalker()
		task.loss = bad
		_, err := Run(t.Context(), o, task, func(worker.Event) {})
		if err == nil || !strings.Contains(err.Error(), "diverged at step 1") || !strings.Contains(err.Error(), "learning_rate") {
			t.Errorf("loss %v: error %v", bad, err)
		}
		if _, err := os.Stat(filepath.Join(o.Out, "checkpoint", "last.safetensors")); err == nil {
			t.Error("a checkpoint was written")
		}
	}
}

func TestAStepsErrorIsTheRunsAndItGoesOnFromTheCheckpoint(t *testing.T) {
	t.Parallel()
	o, task := options(t), newWalker()
	full := errors.New("no room")
	task.fail = map[int]error{14: full}
	if _, err := Run(t.Context(), o, task, func(worker.Event) {}); !errors.Is(err, full) {
		t.Fatalf("error %v", err)
	}
	whole, resumed := newWalker(), newWalker()
	train(t, options(t), whole)
	_, events := train(t, o, resumed)
	if events[0].Step != 12 || resumed.weight[0] != whole.weight[0] {
		t.Errorf("went on at step %d, weight %v, want %v", events[0].Step, resumed.weight[0], whole.weight[0])
	}
}

func TestOtherFingerprintsTornFilesAndOtherShapesDoNotResume(t *testing.T) {
	t.Parallel()
	o := options(t)
	train(t, o, newWalker())
	o.Fingerprint = "g"
	if _, events := train(t, o, newWalker()); events[0].Step != 0 || !strings.Contains(events[0].Note, "other settings") {
		t.Errorf("first event %+v", events[0])
	}
	task := newWalker()
	task.weight = []float32{1, 1}
	if _, err := Run(t.Context(), o, task, func(worker.Event) {}); err == nil || !strings.Contains(err.Error(), "tensor w has 4 bytes, want 8") {
		t.Errorf("another shape: error %v", err)
	}
	path := filepath.Join(o.Out, "checkpoint", "last.safetensors")
	if err := os.WriteFile(path, []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), o, newWalker(), func(worker.Event) {}); err == nil || !strings.Contains(err.Error(), "to train anew") {
		t.Errorf("torn: error %v", err)
	}
}

func TestTimeIsABoundThatCountsEarlierPartsAndTheLastValidation(t *testing.T) {
	t.Parallel()
	r := &run{Options: options(t), began: time.Now(), before: 50, measuring: 20}
	r.MaxMinutes = 1
	if reason := r.bound(); reason != "" {
		t.Errorf("ended by %s after 50 seconds of 60", reason)
	}
	r.ValidateLast = true
	if reason := r.bound(); reason != "max_minutes" {
		t.Errorf("ended by %q although the last validation will not fit", reason)
	}
	if r.ValidateLast, r.before = false, 61; r.bound() != "max_minutes" {
		t.Error("earlier parts do not count")
	}
}

func TestOrderVisitsEverySampleOnceAnEpoch(t *testing.T) {
	t.Parallel()
	o, again := NewOrder(10, 4, 7), NewOrder(10, 4, 7)
	var epochs [2][]int32
	seen := 0
	for step := range 6 {
		if o.Seen(step) != seen {
			t.Errorf("%d samples before step %d, want %d", o.Seen(step), step, seen)
		}
		batch, epoch := o.Batch(step)
		seen += len(batch)
		if epoch != step/3 {
			t.Errorf("step %d is in epoch %d", step, epoch)
		}
		epochs[epoch] = append(epochs[epoch], batch...)
	}
	if slices.Equal(epochs[0], epochs[1]) {
		t.Error("both epochs have the same order")
	}
	if batch, _ := again.Batch(4); !slices.Equal(batch, epochs[1][4:8]) {
		t.Error("the order depends on what was asked before")
	}
	for _, order := range epochs {
		if slices.Sort(order); !slices.Equal(order, []int32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}) {
			t.Errorf("an epoch visited %v", order)
		}
	}
}

func TestLearningRateSchedule(t *testing.T) {
	t.Parallel()
	s := Schedule{Peak: 2, Kind: "cosine", Warmup: 10, MaxSteps: 110}
	for step, want := range map[int]float64{1: 0.2, 10: 2, 60: 1, 110: 0, 200: 0} {
		if got := s.Rate(step); math.Abs(got-want) > 1e-9 {
			t.Errorf("step %d: %v, want %v", step, got, want)
		}
	}
	s.Kind = "constant"
	if got := s.Rate(100); got != 2 {
		t.Errorf("constant: %v", got)
	}
}

func TestOnlyTheBestWeightsStayWhateverTheFolderIsCalled(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Out = filepath.Join(o.Out, "run [1]")
	train(t, o, newWalker())
	entries, err := os.ReadDir(filepath.Join(o.Out, "checkpoint"))
	if err != nil || len(entries) != 2 {
		t.Errorf("%v, %v; want the best weights and the last", entries, err)
	}
}

// A machine that lost its power may leave zeros at the end of a file.
func TestALogThatEndsInZerosIsCutToItsLines(t *testing.T) {
	t.Parallel()
	o := options(t)
	want, _ := train(t, o, newWalker())
	file, err := os.OpenFile(filepath.Join(o.Out, "train_log.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write(make([]byte, 1<<17)); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	again, _ := train(t, o, newWalker())
	if again.Step != want.Step || len(logged(t, o.Out)) != 14 {
		t.Errorf("%+v, %d lines", again, len(logged(t, o.Out)))
	}
}

// What the checkpoint speaks of must be there, whatever fails: here a folder is in the way of the better weights.
func TestBestWeightsThatCannotBeWrittenLeaveTheOnesBefore(t *testing.T) {
	t.Parallel()
	o, task := options(t), newWalker()
	task.score = func(w float32) float64 { return -math.Abs(float64(w) - 60) } // step 20 is the best
	o.CheckpointEvery = 0
	inTheWay := filepath.Join(o.Out, "checkpoint", "best-000000020.safetensors")
	_, err := Run(t.Context(), o, task, func(e worker.Event) {
		if e.Kind == worker.Progress && e.Step == 16 {
			if err := os.Mkdir(inTheWay, 0o755); err != nil {
				t.Error(err)
			}
		}
	})
	if err == nil || !strings.Contains(err.Error(), "best weights") {
		t.Fatalf("error %v", err)
	}
	if err := os.RemoveAll(inTheWay); err != nil {
		t.Fatal(err)
	}
	again := newWalker()
	again.score = task.score
	result, events := train(t, o, again)
	if events[1].Kind != worker.Validated || events[1].Step != 20 {
		t.Errorf("went on with %+v", events[1])
	}
	if _, err := os.Stat(result.Path); err != nil {
		t.Error(err)
	}
}

func TestAStopThatLeavesNoCheckpointIsAFailure(t *testing.T) {
	t.Parallel()
	o, task := options(t), newWalker()
	o.CheckpointEvery = 0
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := Run(ctx, o, task, func(e worker.Event) {
		if e.Kind == worker.Progress { // the disk is full, as far as the checkpoint goes
			if err := os.WriteFile(filepath.Join(o.Out, "checkpoint"), nil, 0o600); err != nil {
				t.Error(err)
			}
			cancel()
		}
	})
	if err == nil || errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "checkpoint") {
		t.Errorf("error %v", err)
	}
}

// TensorBoard drops what earlier files say of steps behind the one that a run goes on from, where it is told to.
func TestARunThatEndedBeforeItsFirstCheckpointIsShownOnce(t *testing.T) {
	t.Parallel()
	o, task := options(t), newWalker()
	o.ValidateFirst, o.CheckpointEvery, o.ValidateEvery = true, 0, 30
	task.fail = map[int]error{14: errors.New("killed")}
	if _, err := Run(t.Context(), o, task, func(worker.Event) {}); err == nil {
		t.Fatal("no error")
	}
	train(t, o, newWalker())
	files, err := filepath.Glob(filepath.Join(o.Out, "tensorboard", "*"))
	if err != nil || len(files) != 2 {
		t.Fatalf("%q, %v", files, err)
	}
	slices.Sort(files)
	text, err := os.ReadFile(files[1])
	if err != nil {
		t.Fatal(err)
	}
	if restart := "\x10\x01\x3a\x02\x08\x01"; !strings.Contains(string(text), restart) { // step 1, session_log {status: START}
		t.Error("the second file does not begin anew at step 1")
	}
}
