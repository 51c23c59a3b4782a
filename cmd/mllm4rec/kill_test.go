package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"mllm4rec/export/llama/llamatest"
)

// killsVariable sets the number of kills of TestKilledRunsEndAsUnbrokenOnes; `make kill-test` asks for 50.
const killsVariable = "MLLM4REC_KILLS"

// compared are the files that must not differ by a byte, however often a run was killed. retriever.json and the report
// hold times.
var compared = []string{
	"items.parquet", "users.parquet", "interactions.parquet", "sequences.parquet", "rejects.csv", "prepare.json",
	"retriever.safetensors", "retriever.onnx", "candidates.parquet", "ranker/negatives.parquet", "ranker/adapter/adapter_model.safetensors",
	"ranker/adapter/adapter_config.json", "ranker.onnx", "rankings.parquet", "fused.parquet", "fusion.json", "metrics.parquet", "metrics.json",
}

// smallRun is a whole run of a few seconds.
const smallRun = `
name: small
data: {source: movielens, path: logs}
retriever: {hidden: 16, blocks: 1, max_length: 12, batch: 4, max_steps: 120, validate_every: 20, patience: 0, checkpoint_every: 7, threads: 1}
candidates: {k: 6}
ranker:
  {base: lm, template: movies, history: 3, max_tokens: 700, negatives: mixed, batch: 4, max_steps: 12, validate_every: 4, warmup_steps: 1,
   validate_users: 10, patience: 0, checkpoint_every: 2, threads: 1}
runtime: {threads: 1}
`

// TestKilledRunsEndAsUnbrokenOnes kills a whole run with SIGKILL at random moments and resumes it until it ends, again and
// again until there were enough kills. Every run that ends must have the files of the unbroken one.
func TestKilledRunsEndAsUnbrokenOnes(t *testing.T) {
	if err := builtWorker(); err != nil {
		t.Skipf("needs both programs and ONNX Runtime, built here: %v", err)
	}
	kills := 6
	if text := os.Getenv(killsVariable); text != "" {
		var err error
		if kills, err = strconv.Atoi(text); err != nil {
			t.Fatalf("%s: %v", killsVariable, err)
		}
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("%d kills, seed %d", kills, seed)
	random := rand.New(rand.NewPCG(seed, 0))

	w := newKillWorld(t)
	start := time.Now()
	if killed := w.run("unbroken", 0); killed {
		t.Fatal("the unbroken run was killed")
	}
	whole := time.Since(start)
	want := w.files("unbroken")

	done, runs := 0, 0
	for ; done < kills; runs++ {
		dir := fmt.Sprint("killed", runs)
		// The moments grow later with every kill, so that a machine that is busier than at first gets to the end, too.
		for limit := whole; done < kills && w.run(dir, time.Duration(random.Int64N(int64(limit)))); limit += whole / 10 {
			done++
		}
		if done == kills && w.run(dir, 0) {
			t.Fatal("killed by somebody else")
		}
		for name, data := range w.files(dir) {
			if !bytes.Equal(data, want[name]) {
				t.Errorf("seed %d, run %d, after %d kills: %s differs from the unbroken run's", seed, runs, done, name)
			}
		}
		for _, pattern := range []string{".*.tmp-*", "*/.*.tmp-*", "*/*/.*.tmp-*"} {
			if litter, _ := filepath.Glob(filepath.Join(w.dir, dir, pattern)); len(litter) > 0 {
				t.Errorf("left behind: %q", litter)
			}
		}
	}
	t.Logf("%d kills in %d runs of %v each", done, runs, whole.Round(time.Millisecond))
}

type killWorld struct {
	t         *testing.T
	dir, root string
}

func newKillWorld(t *testing.T) *killWorld {
	t.Helper()
	root, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	w := &killWorld{t, t.TempDir(), root}
	if err := writeLogs(filepath.Join(w.dir, "logs")); err != nil {
		t.Fatal(err)
	}
	if err := llamatest.Write(filepath.Join(w.dir, "lm"), 1); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.dir, "small.yaml"), []byte(strings.TrimSpace(smallRun)), 0o644); err != nil {
		t.Fatal(err)
	}
	return w
}

// run runs or resumes the whole run in a process group of its own, and kills it after a while (0: never), every other
// time with the training worker. It
// reports whether the kill came before the end.
func (w *killWorld) run(dir string, after time.Duration) (killed bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "run", "-c", "small.yaml", "--run", dir)
	cmd.Args[0] = "mllm4rec"
	cmd.Dir = w.dir
	cmd.Env = append(os.Environ(), "MLLM4REC_TRAIN="+filepath.Join(w.root, "bin/mllm4rec-train"),
		"MLLM4REC_ORT_LIBRARY="+filepath.Join(w.root, ".deps/onnxruntime/capi"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	if after > 0 {
		timer := time.AfterFunc(after, func() { killAll(cmd.Process.Pid, after%2 == 0) })
		defer timer.Stop()
	}
	err := cmd.Wait()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGKILL && ctx.Err() == nil {
		return true
	}
	if err != nil {
		w.t.Fatalf("%v\n%s", err, output.String())
	}
	return false
}

// killAll kills the process group of pid and, with workers, its children, which are in groups of their own. Without, a
// training worker outlives its parent for the time that it takes to write a checkpoint, and meets the next run's.
func killAll(pid int, workers bool) {
	var children []string
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, task := range tasks {
		text, _ := os.ReadFile(task)
		children = append(children, strings.Fields(string(text))...)
	}
	_ = syscall.Kill(-pid, syscall.SIGKILL)
	for _, child := range children {
		if id, err := strconv.Atoi(child); err == nil && workers {
			_ = syscall.Kill(id, syscall.SIGKILL)
		}
	}
}

func (w *killWorld) files(dir string) map[string][]byte {
	w.t.Helper()
	files := map[string][]byte{}
	for _, name := range compared {
		data, err := os.ReadFile(filepath.Join(w.dir, dir, name))
		if err != nil {
			w.t.Fatal(err)
		}
		files[name] = data
	}
	return files
}
