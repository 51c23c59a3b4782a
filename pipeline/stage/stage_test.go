package stage_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"mllm4rec/internal/atomicfile"
	"mllm4rec/internal/fail"
	"mllm4rec/pipeline/stage"
)

// world is a run folder with three stages: a copies in.txt, b and c add a letter to what came before.
type world struct {
	t        *testing.T
	dir, raw string
	config   map[string]map[string]any
	fail     map[string]error
	ran      []string
	order    []string
	log      strings.Builder
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), raw: filepath.Join(t.TempDir(), "in.txt"), fail: map[string]error{}, order: []string{"a", "b", "c"}}
	w.config = map[string]map[string]any{"a": {"x": 1}, "b": {"x": 1}, "c": {"x": 1}}
	w.write(w.raw, "raw")
	return w
}

func (w *world) write(path, text string) {
	w.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) stages() []stage.Stage {
	var stages []stage.Stage
	input := w.raw
	for _, name := range w.order {
		in, out := input, filepath.Join(w.dir, name+".txt")
		stages = append(stages, stage.Stage{
			Name: name, Version: 1, Config: w.config[name], Outputs: []string{name + ".txt"}, Partial: []string{name + ".partial"}, Room: 10,
			Inputs: func() ([]string, error) { return []string{in}, nil },
			Check:  func() error { return w.fail["check "+name] },
			Run: func(context.Context) error {
				w.ran = append(w.ran, name)
				data, err := os.ReadFile(in)
				if err := errors.Join(err, w.fail[name]); err != nil {
					return err
				}
				return atomicfile.WriteFile(out, append(data, name...))
			},
		})
		input = out
	}
	return stages
}

func (w *world) run(runner stage.Runner) ([]stage.Outcome, error) {
	w.ran = nil
	w.log.Reset()
	runner.Dir, runner.Log = w.dir, slog.New(slog.NewTextHandler(&w.log, nil))
	return runner.Run(w.t.Context(), w.stages())
}

func (w *world) mustRun(runner stage.Runner, want ...string) []stage.Outcome {
	w.t.Helper()
	outcomes, err := w.run(runner)
	if err != nil {
		w.t.Fatal(err)
	}
	if !slices.Equal(w.ran, want) {
		w.t.Errorf("ran %q, want %q", w.ran, want)
	}
	return outcomes
}

func TestSecondRunDoesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mustRun(stage.Runner{}, "a", "b", "c")
	for _, o := range w.mustRun(stage.Runner{}) {
		if o.Status != stage.UpToDate {
			t.Errorf("%s: %s", o.Stage, o.Status)
		}
	}
}

func TestWhatRunsAgain(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(w *world)
		want   []string
		why    string
	}{
		{"config of the last stage", func(w *world) { w.config["c"]["x"] = 2 }, []string{"c"}, "changed in the recipe: x"},
		{"config that changes no output stops there", func(w *world) { w.config["a"]["x"] = 2 }, []string{"a"}, "changed in the recipe: x"},
		{"input", func(w *world) { w.write(w.raw, "new") }, []string{"a", "b", "c"}, "in.txt changed"},
		{"input touched only", func(w *world) { w.write(w.raw, "raw") }, nil, ""},
		{"output gone", func(w *world) { _ = os.Remove(filepath.Join(w.dir, "b.txt")) }, []string{"b"}, "b.txt is gone"},
		{"output damaged", func(w *world) { w.write(filepath.Join(w.dir, "b.txt"), "rawXX") }, []string{"b"}, "b.txt is not what the stage wrote"},
		{"manifest gone", func(w *world) { _ = os.Remove(filepath.Join(w.dir, "manifest.json")) }, []string{"a", "b", "c"}, "has not run yet"},
		{"manifest damaged", func(w *world) { w.write(filepath.Join(w.dir, "manifest.json"), "{") }, []string{"a", "b", "c"}, "has not run yet"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.mustRun(stage.Runner{}, "a", "b", "c")
			test.change(w)
			outcomes := w.mustRun(stage.Runner{}, test.want...)
			if i := slices.IndexFunc(outcomes, func(o stage.Outcome) bool { return o.Status == stage.Ran }); i >= 0 && outcomes[i].Why != test.why {
				t.Errorf("%s ran because %q, want %q", outcomes[i].Stage, outcomes[i].Why, test.why)
			}
			w.mustRun(stage.Runner{})
		})
	}
}

func TestMovedRunFolderStaysUpToDate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mustRun(stage.Runner{}, "a", "b", "c")
	moved := filepath.Join(t.TempDir(), "moved")
	if err := os.Rename(w.dir, moved); err != nil {
		t.Fatal(err)
	}
	w.dir = moved
	w.mustRun(stage.Runner{})
}

func TestFromUntilForce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mustRun(stage.Runner{Until: "b"}, "a", "b")
	w.mustRun(stage.Runner{From: "c"}, "c")
	w.mustRun(stage.Runner{Force: []string{"b"}}, "b")
	w.config["a"]["x"] = 2
	w.mustRun(stage.Runner{From: "b"})
	w.mustRun(stage.Runner{From: "a", Until: "a"}, "a")
	for _, runner := range []stage.Runner{{From: "z"}, {Until: "z"}, {Force: []string{"z"}}, {From: "c", Until: "a"}, {From: "b", Force: []string{"a"}}} {
		if _, err := w.run(runner); !fail.IsUsage(err) {
			t.Errorf("%+v: got %v, want a usage error", runner, err)
		}
	}
}

func TestFromNeedsWhatCameBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.run(stage.Runner{From: "b"})
	if !fail.IsUsage(err) || !strings.Contains(err.Error(), "a.txt, which a writes: run that first") {
		t.Error(err)
	}
}

func TestFromRefusesWhatWasStoppedHalfWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mustRun(stage.Runner{}, "a", "b", "c")
	w.config["a"]["x"], w.fail["a"] = 2, errors.New("stopped")
	if _, err := w.run(stage.Runner{}); err == nil {
		t.Fatal("no error")
	}
	_, err := w.run(stage.Runner{From: "b"})
	if !fail.IsUsage(err) || !strings.Contains(err.Error(), "b needs what a writes, which was stopped half-way") {
		t.Error(err)
	}
}

func TestFromWarnsOfWhatIsOutOfDate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mustRun(stage.Runner{}, "a", "b", "c")
	w.config["a"]["x"] = 2
	w.mustRun(stage.Runner{From: "b"})
	if !strings.Contains(w.log.String(), `stage=a why="changed in the recipe: x"`) {
		t.Errorf("log %s", w.log.String())
	}
}

func TestBeginComesAfterTheChecksAndOnlyForWork(t *testing.T) {
	t.Parallel()
	w, begun := newWorld(t), 0
	runner := stage.Runner{Begin: func(int64) error { begun++; return nil }}
	w.fail["check c"] = errors.New("no worker")
	if _, err := w.run(runner); err == nil || begun != 0 {
		t.Errorf("begun %d times before the checks, %v", begun, err)
	}
	delete(w.fail, "check c")
	w.mustRun(runner, "a", "b", "c")
	w.mustRun(runner)
	if begun != 1 {
		t.Errorf("begun %d times, want once", begun)
	}
}

func TestRoomIsAskedForTheStagesThatMayRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var asked int64
	runner := stage.Runner{Begin: func(room int64) error { asked = room; return nil }}
	w.mustRun(runner, "a", "b", "c")
	if asked != 30 {
		t.Errorf("asked for %d bytes before a, b and c, want 30", asked)
	}
	w.config["c"]["x"] = 2
	if w.mustRun(runner, "c"); asked != 10 {
		t.Errorf("asked for %d bytes before c alone, want 10", asked)
	}
}

func TestChecksComeBeforeTheFirstStage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail["check c"] = fail.Usagef("no worker")
	if _, err := w.run(stage.Runner{}); !fail.IsUsage(err) || err.Error() != "c: no worker" || len(w.ran) != 0 {
		t.Errorf("ran %q, got %v", w.ran, err)
	}
	delete(w.fail, "check c")
	w.mustRun(stage.Runner{}, "a", "b", "c")
	w.fail["check a"] = errors.New("must not be asked")
	w.config["b"]["x"] = 2
	w.mustRun(stage.Runner{}, "b")
}

func TestFailureKeepsFinishedStagesAndPartialWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail["b"] = syscall.ENOSPC
	outcomes, err := w.run(stage.Runner{})
	if len(outcomes) != 1 || err == nil || !strings.HasPrefix(err.Error(), "b: no space left") || !strings.Contains(err.Error(), "run again") {
		t.Fatalf("%+v, %v", outcomes, err)
	}
	partial := filepath.Join(w.dir, "b.partial")
	w.write(partial, "half")
	delete(w.fail, "b")
	w.mustRun(stage.Runner{}, "b", "c")
	if _, err := os.Stat(partial); err != nil {
		t.Errorf("the same fingerprint must go on from its partial work: %v", err)
	}
}

func TestAnInputThatMayNotBeReadIsNotTakenForTheRunFolder(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{fail.Usagef("x.csv: %w: make it readable", syscall.EACCES), syscall.EACCES} {
		w := newWorld(t)
		w.fail["b"] = cause
		if _, err := w.run(stage.Runner{}); err == nil || strings.Contains(err.Error(), "--run") || strings.Count(err.Error(), "make it") != 1 {
			t.Errorf("got %v", err)
		}
	}
}

func TestPartialWorkOfAnotherFingerprintIsDropped(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(w *world) stage.Runner{
		"config": func(w *world) stage.Runner { w.config["b"]["x"] = 2; return stage.Runner{} },
		"input":  func(w *world) stage.Runner { w.write(w.raw, "new"); return stage.Runner{} },
		"force":  func(*world) stage.Runner { return stage.Runner{Force: []string{"b"}} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.fail["b"] = errors.New("stopped")
			if _, err := w.run(stage.Runner{}); err == nil {
				t.Fatal("no error")
			}
			partial := filepath.Join(w.dir, "b.partial")
			w.write(partial, "half")
			delete(w.fail, "b")
			if _, err := w.run(change(w)); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(partial); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("partial work is still there: %v", err)
			}
		})
	}
}

func TestDroppedWorkIsSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail["b"] = errors.New("stopped")
	_, _ = w.run(stage.Runner{})
	w.write(filepath.Join(w.dir, "b.partial"), "half")
	delete(w.fail, "b")
	w.config["b"]["x"] = 2
	outcomes := w.mustRun(stage.Runner{}, "b", "c")
	if want := "was stopped, and its settings or inputs changed since"; outcomes[1].Why != want {
		t.Errorf("b ran because %q, want %q", outcomes[1].Why, want)
	}
	if !strings.Contains(w.log.String(), "half-done work is dropped") || !strings.Contains(w.log.String(), "stage=b dropped=b.partial") {
		t.Errorf("log %s", w.log.String())
	}
	w.write(filepath.Join(w.dir, "b.partial"), "left by the finished stage")
	w.config["b"]["x"] = 3
	if w.mustRun(stage.Runner{}, "b"); strings.Contains(w.log.String(), "dropped") {
		t.Errorf("says that a finished stage's work is dropped: %s", w.log.String())
	}
}

// TestWorkThatIsHalfDroppedIsNotGoneOnWith stops while half-done work goes, and goes back to the settings that it was begun with.
func TestWorkThatIsHalfDroppedIsNotGoneOnWith(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail["b"] = errors.New("stopped")
	_, _ = w.run(stage.Runner{})
	half := w.stages()
	half[1].Partial = append(half[1].Partial, "no file has this name\x00")
	half[1].Config = map[string]any{"x": 2}
	runner := stage.Runner{Dir: w.dir, Log: slog.New(slog.DiscardHandler)}
	if _, err := runner.Run(t.Context(), half); err == nil {
		t.Fatal("no error")
	}
	rest := filepath.Join(w.dir, "b.partial")
	w.write(rest, "what the removal had not come to")
	delete(w.fail, "b")
	w.mustRun(stage.Runner{}, "b", "c")
	if _, err := os.Stat(rest); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("half of the old work is still there: %v", err)
	}
}

func TestWorkUnderWiderBoundsGoesOn(t *testing.T) {
	t.Parallel()
	const kept, dropped = true, false
	for _, c := range []struct {
		name   string
		stop   bool // the stage is stopped before the change, else it has finished
		change func(w *world)
		want   bool
	}{
		{"stopped, wider", true, func(w *world) { w.config["b"]["most"] = 20 }, kept},
		{"finished, wider", false, func(w *world) { w.config["b"]["most"] = 20 }, kept},
		{"stopped, tighter", true, func(w *world) { w.config["b"]["most"] = 5 }, dropped},
		{"finished, tighter", false, func(w *world) { w.config["b"]["most"] = 5 }, dropped},
		{"wider, and another input", true, func(w *world) { w.config["b"]["most"] = 20; w.write(w.raw, "new") }, dropped},
		{"the output is gone", false, func(w *world) { _ = os.Remove(filepath.Join(w.dir, "b.txt")) }, dropped},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.config["b"]["most"] = 10
			if c.stop {
				w.fail["b"] = errors.New("stopped")
			}
			_, _ = w.run(stage.Runner{})
			partial := filepath.Join(w.dir, "b.partial")
			w.write(partial, "half")
			delete(w.fail, "b")
			c.change(w)
			stages := w.stages()
			stages[1].GoesOn = func(was json.RawMessage) bool {
				var before struct{ Most int }
				return json.Unmarshal(was, &before) == nil && before.Most <= w.config["b"]["most"].(int)
			}
			runner := stage.Runner{Dir: w.dir, Log: slog.New(slog.DiscardHandler)}
			if _, err := runner.Run(t.Context(), stages); err != nil || !slices.Contains(w.ran, "b") {
				t.Fatal(w.ran, err)
			}
			if _, err := os.Stat(partial); (err == nil) != c.want {
				t.Errorf("kept is %v", err == nil)
			}
		})
	}
}

// TestForceGoesOnAfterAnInterruption gives the same command again and again, as the message at Ctrl-C says to.
func TestForceGoesOnAfterAnInterruption(t *testing.T) {
	t.Parallel()
	w, force := newWorld(t), stage.Runner{Force: []string{"b"}}
	w.mustRun(stage.Runner{}, "a", "b", "c")
	w.fail["b"] = errors.New("stopped")
	_, _ = w.run(force)
	partial := filepath.Join(w.dir, "b.partial")
	w.write(partial, "half")
	_, _ = w.run(force)
	if _, err := os.Stat(partial); err != nil || !slices.Equal(w.ran, []string{"b"}) {
		t.Fatalf("ran %q; the forced stage must go on from its own work: %v", w.ran, err)
	}

	w.config["c"]["x"] = 2
	w.fail["b"], w.fail["c"] = nil, errors.New("stopped")
	_, _ = w.run(force)
	if !slices.Equal(w.ran, []string{"b", "c"}) {
		t.Fatalf("ran %q", w.ran)
	}
	delete(w.fail, "c")
	w.mustRun(force, "c") // b came to its end in this command
	w.mustRun(force, "b") // and this is the next one
}

func TestStageThatWritesNothingFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stages := w.stages()
	stages[0].Run = func(context.Context) error { return nil }
	runner := stage.Runner{Dir: w.dir, Log: slog.New(slog.DiscardHandler)}
	if _, err := runner.Run(t.Context(), stages); err == nil || !strings.Contains(err.Error(), "ended without all its files") {
		t.Error(err)
	}
}

func TestCancelledRunStops(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	stages := w.stages()
	stages[0].Run = func(ctx context.Context) error { cancel(); return ctx.Err() }
	runner := stage.Runner{Dir: w.dir, Log: slog.New(slog.DiscardHandler)}
	if _, err := runner.Run(ctx, stages); !errors.Is(err, context.Canceled) || len(w.ran) != 0 {
		t.Errorf("ran %q, got %v", w.ran, err)
	}
}

func TestNewerManifestIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(filepath.Join(w.dir, "manifest.json"), `{"format": 99}`)
	if _, err := w.run(stage.Runner{}); err == nil || !strings.Contains(err.Error(), "format 99") {
		t.Error(err)
	}
}

func TestLitterOfAKillIsCleared(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	litter := filepath.Join(w.dir, ".items.parquet.tmp-123")
	w.write(litter, "half")
	w.mustRun(stage.Runner{}, "a", "b", "c")
	if _, err := os.Stat(litter); !errors.Is(err, os.ErrNotExist) {
		t.Error("temporary file of a killed run is still there")
	}
}

func TestSecondRunIsLockedOut(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new")
	lock, err := stage.Acquire(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = stage.Acquire(dir)
	if err == nil || fail.IsUsage(err) || !strings.Contains(err.Error(), "in use by process ") {
		t.Errorf("got %v", err)
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	again, err := stage.Acquire(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Release(); err != nil {
		t.Fatal(err)
	}
}

// TestLockSurvivesACrash locks in a child, kills it with SIGKILL, and locks again.
func TestLockSurvivesACrash(t *testing.T) {
	t.Parallel()
	if dir := os.Getenv("STAGE_TEST_LOCK"); dir != "" {
		lock, err := stage.Acquire(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = lock.Release() }() // keeps it from the garbage collector, which would close the file
		_, _ = os.Stdout.WriteString("locked\n")
		select {}
	}
	dir := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^TestLockSurvivesACrash$")
	child.Env = append(os.Environ(), "STAGE_TEST_LOCK="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, len("locked\n"))); err != nil {
		t.Fatal(err)
	}
	if _, err := stage.Acquire(dir); err == nil || !strings.Contains(err.Error(), "process ") {
		t.Errorf("locked by a child, got %v", err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	lock, err := stage.Acquire(dir)
	if err != nil {
		t.Fatalf("after the crash: %v", err)
	}
	_ = lock.Release()
}

func TestAFolderThatCannotBeLockedIsAWrongCall(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, ".lock"), 0o755); err != nil { // root may write anywhere else
		t.Fatal(err)
	}
	if _, err := stage.Acquire(dir); !fail.IsUsage(err) || !strings.Contains(err.Error(), "take another one with --run") {
		t.Errorf("got %v", err)
	}
}

func TestFolderIsCheckedBeforeTheRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := stage.CheckFolder(dir, "--run", 1); err != nil {
		t.Error(err)
	}
	if err := stage.CheckFolder(dir, "--run", 1<<60); err == nil || !strings.Contains(err.Error(), "needs about 1.2 EB") {
		t.Error(err)
	}
	if err := stage.CheckFolder(filepath.Join(dir, "none"), "data.downloads", 1); !fail.IsUsage(err) || !strings.Contains(err.Error(), "with data.downloads") {
		t.Error(err)
	}
}
