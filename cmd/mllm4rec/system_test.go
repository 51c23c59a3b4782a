package main

import (
	"bytes"
	"debug/elf"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestProgramLinksNoLibtorch builds the program and looks at the libraries that it asks the loader for.
func TestProgramLinksNoLibtorch(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "mllm4rec")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	file, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	libraries, err := file.ImportedLibraries()
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		t.Fatal(err)
	}
	for _, library := range libraries {
		for _, torch := range []string{"torch", "c10", "gomp", "cuda", "onnxruntime"} {
			if strings.Contains(library, torch) {
				t.Errorf("links %s", library)
			}
		}
	}
	deps, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(deps), "gotch") {
		t.Error("depends on gotch")
	}
}

// sink collects what a program writes from several goroutines, and calls seen after every write.
type sink struct {
	mu   sync.Mutex
	text bytes.Buffer
	seen func(text string)
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(p)
	if s.seen != nil {
		s.seen(s.text.String())
	}
	return len(p), nil
}

// stubborn is a training worker that never ends by itself; it notes that it started, and when it was told to stop.
const stubborn = `#!/bin/sh
trap 'echo told >>"$0.log"; %s' TERM
echo '{"event":"started","steps":10}'
while :; do sleep 0.05; done
`

func interruptedRun(t *testing.T, onTerm string, signals chan os.Signal, seen func(string), exit func(int)) (code int, stderr string) {
	t.Helper()
	dir := t.TempDir()
	worker := filepath.Join(dir, "worker.sh")
	err := errors.Join(writeLogs(filepath.Join(dir, "logs")), os.WriteFile(worker, []byte(strings.ReplaceAll(stubborn, "%s", onTerm)), 0o755))
	if err != nil {
		t.Fatal(err)
	}
	out := &sink{seen: seen}
	root, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	code = execute(&system{
		args: []string{"run", "--run", filepath.Join(dir, "run"), "-c", "ml-latest-small", "--set", "ranker.base=",
			"--set", "data.path=" + filepath.Join(dir, "logs"), "--set", "runtime.library=" + filepath.Join(root, ".deps/onnxruntime/capi")},
		environ: []string{workerVariable + "=" + worker}, stdout: &sink{}, stderr: out, signals: signals, exit: exit,
	})
	return code, out.text.String()
}

func TestFirstInterruptStopsCleanly(t *testing.T) {
	t.Parallel()
	if err := builtWorker(); err != nil {
		t.Skipf("needs both programs and ONNX Runtime, built here: %v", err)
	}
	signals := make(chan os.Signal, 2)
	var once sync.Once
	code, stderr := interruptedRun(t, "exit 1", signals, func(text string) {
		if strings.Contains(text, "start stage=train") {
			once.Do(func() { signals <- os.Interrupt })
		}
	}, func(int) { t.Error("ended at once") })
	if code != exitInterrupted || !strings.Contains(stderr, "the same command goes on from there") || !strings.HasSuffix(stderr, "mllm4rec: interrupted\n") {
		t.Errorf("exit code %d, stderr:\n%s", code, stderr)
	}
}

func TestSecondInterruptEndsAtOnce(t *testing.T) {
	t.Parallel()
	if err := builtWorker(); err != nil {
		t.Skipf("needs both programs and ONNX Runtime, built here: %v", err)
	}
	signals := make(chan os.Signal, 2)
	ended := make(chan int, 1)
	var once sync.Once
	code, _ := interruptedRun(t, "exit 1", signals, func(text string) {
		if strings.Contains(text, "start stage=train") {
			once.Do(func() { signals <- os.Interrupt; signals <- os.Interrupt })
		}
	}, func(code int) { ended <- code })
	select {
	case got := <-ended:
		if got != exitInterrupted {
			t.Errorf("ended at once with %d", got)
		}
	default:
		t.Error("the second interrupt did not end the process")
	}
	if code != exitInterrupted {
		t.Errorf("exit code %d", code)
	}
}
