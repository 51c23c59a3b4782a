package worker

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"mllm4rec/internal/atomicfile"
	"mllm4rec/internal/fail"
)

// stopGrace is how long a cancelled worker may take to write its checkpoint before it is killed.
const stopGrace = 30 * time.Second

// TrainRetriever writes spec to its Out folder, starts bin (mllm4rec-train) on it and waits. onEvent (nil: nobody listens)
// is called for every event, from one goroutine. A cancelled ctx stops the worker after it wrote a checkpoint; the error
// is then ctx's. Calling again with the same spec goes on where the last call ended.
func TrainRetriever(ctx context.Context, bin string, spec RetrieverSpec, onEvent func(Event)) (RetrieverResult, error) {
	if err := spec.Validate(); err != nil {
		return RetrieverResult{}, err
	}
	last, err := start(ctx, bin, "retriever", spec, spec.Out, spec.Threads, onEvent)
	if err != nil {
		return RetrieverResult{}, err
	}
	return *last.Result, nil
}

// TrainRanker does the same for a ranker.
func TrainRanker(ctx context.Context, bin string, spec RankerSpec, onEvent func(Event)) (RankerResult, error) {
	if err := spec.Validate(); err != nil {
		return RankerResult{}, err
	}
	last, err := start(ctx, bin, "ranker", spec, spec.Out, spec.Threads, onEvent)
	if err != nil {
		return RankerResult{}, err
	}
	return *last.Ranker, nil
}

// CheckGPU makes sure that the worker finds the GPU of that number.
func CheckGPU(ctx context.Context, bin string, index int) error {
	_, err := run(ctx, bin, []string{"gpu", strconv.Itoa(index)}, os.Environ(), nil)
	return err
}

// start writes a spec into the folder out, starts the worker on it and returns its last event, which carries a result.
func start(ctx context.Context, bin, command string, spec any, out string, threads int, onEvent func(Event)) (Event, error) {
	if _, err := exec.LookPath(bin); err != nil {
		return Event{}, fail.Usagef("training worker %s: %w (run `make build`)", bin, err)
	}
	text, err := json.MarshalIndent(spec, "", "  ")
	if err != nil {
		return Event{}, err
	}
	path := filepath.Join(out, "train_spec.json")
	if err := atomicfile.WriteFile(path, append(text, '\n')); err != nil {
		return Event{}, err
	}
	last, err := run(ctx, bin, []string{command, path}, environment(os.Environ(), threads), onEvent)
	if err == nil && (command == "retriever" && last.Result == nil || command == "ranker" && last.Ranker == nil) {
		err = fmt.Errorf("training worker %s: its last event holds no result of a %s", bin, command)
	}
	return last, err
}

// run starts the worker and reads its events until it ends.
func run(ctx context.Context, bin string, args, env []string, onEvent func(Event)) (Event, error) {
	running, stop := context.WithCancel(ctx)
	defer stop()
	cmd := exec.CommandContext(running, bin, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopGrace
	cmd.Env = env
	// A group of its own: Ctrl-C on a terminal reaches the worker through ctx only, once. A worker whose parent is killed
	// stops, too; the kernel watches the thread that started it, so that thread has to stay.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	var stderr tail
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return Event{}, err
	}
	if err := cmd.Start(); err != nil {
		return Event{}, fmt.Errorf("training worker %s: %w", bin, err)
	}
	last, readErr := readEvents(stdout, onEvent)
	if readErr != nil { // nobody listens any more: a worker that went on would fill the pipe and wait for ever
		stop()
		_, _ = io.Copy(io.Discard, stdout)
	}
	waitErr := cmd.Wait()
	return outcome(ctx, last, readErr, waitErr, needsLess[args[0]], stderr.String())
}

// readEvents passes every line on and returns the last event.
func readEvents(r io.Reader, onEvent func(Event)) (Event, error) {
	var last Event
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var event Event
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			return last, fmt.Errorf("training worker wrote %.80q, which is no event: %w", lines.Text(), err)
		}
		if last = event; onEvent != nil {
			onEvent(event)
		}
	}
	return last, lines.Err()
}

// outcome tells how a run ended from what was heard last and how the process ended.
func outcome(ctx context.Context, last Event, readErr, waitErr error, needsLess, stderr string) (Event, error) {
	switch {
	case last.Kind == Finished && waitErr == nil:
		return last, nil
	case ctx.Err() != nil && !(last.Kind == Failed && exitCode(waitErr) == 1): // 1 is a stop that left no checkpoint
		return Event{}, ctx.Err()
	case last.Kind == Failed && last.Usage:
		return Event{}, fail.Usagef("%s", last.Error)
	case last.Kind == Failed:
		return Event{}, errors.New(last.Error)
	case readErr != nil:
		return Event{}, readErr
	}
	return Event{}, crash(last, waitErr, needsLess, stderr)
}

// exitCode is that of a process that has ended by itself, 0 of others.
func exitCode(waitErr error) int {
	var exit *exec.ExitError
	if errors.As(waitErr, &exit) {
		return exit.ExitCode()
	}
	return 0
}

// needsLess says by what keys of the recipe a command's training needs less memory. Of them activation_bytes alone lets the
// checkpoint go on.
var needsLess = map[string]string{
	"retriever": "a smaller retriever.batch needs less",
	"ranker":    "a bound in ranker.activation_bytes, or a smaller ranker.batch_tokens, needs less",
}

// crash describes a worker that ended without saying why.
func crash(last Event, waitErr error, needsLess, stderr string) error {
	how := "ended without a result"
	var exit *exec.ExitError
	if errors.As(waitErr, &exit) {
		how = "ended with " + exit.String()
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGKILL {
			how = "was killed, most likely because memory ran out (" + needsLess + ")"
		}
	}
	text := fmt.Sprintf("training worker %s at step %d; running it again goes on from the last checkpoint", how, last.Step)
	if stderr != "" {
		text += "; it said last: " + stderr
	}
	return errors.New(text)
}

// tail keeps the end of what a process writes.
type tail struct{ text []byte }

const tailBytes = 2 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p...)
	if over := len(t.text) - tailBytes; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(p), nil
}

// String is the tail on one line.
func (t *tail) String() string { return string(bytes.Join(bytes.Fields(t.text), []byte(" "))) }
