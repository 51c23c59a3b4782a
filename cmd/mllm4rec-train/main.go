// Command mllm4rec-train is the training worker, the one binary that links libtorch. It takes a spec file, writes its
// progress to standard output as JSON lines (package worker), and files into the spec's folder. mllm4rec starts it; by hand:
//
//	mllm4rec-train retriever SPEC.json
//	mllm4rec-train ranker SPEC.json
//
// It exits with 0 when training has ended, 2 when the spec or the data is wrong, 130 when it was told to stop (SIGINT,
// SIGTERM: a checkpoint was written), and 1 on any other failure.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/gofrs/flock"

	"mllm4rec/internal/atomicfile"
	"mllm4rec/internal/fail"
	"mllm4rec/pipeline/train/lrurec"
	"mllm4rec/pipeline/train/ranker"
	"mllm4rec/pipeline/train/torch"
	"mllm4rec/pipeline/worker"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	signal.Ignore(syscall.SIGPIPE) // a parent that is killed must not take the worker along before its checkpoint is written
	os.Exit(execute(ctx, os.Args[1:], os.Stdout))
}

// execute runs one command and returns the exit code. It stops where nobody hears it any more.
func execute(ctx context.Context, args []string, stdout io.Writer) int {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	events := json.NewEncoder(stdout)
	emit := func(e worker.Event) {
		if events.Encode(e) != nil {
			stop()
		}
	}
	err := run(ctx, args, emit)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, context.Canceled):
		emit(worker.Event{Kind: worker.Failed, Error: "stopped; running it again goes on from the checkpoint"})
		return 130
	}
	emit(worker.Event{Kind: worker.Failed, Error: err.Error(), Usage: fail.IsUsage(err)})
	if fail.IsUsage(err) {
		return 2
	}
	return 1
}

func run(ctx context.Context, args []string, emit func(worker.Event)) error {
	if len(args) == 2 {
		switch args[0] {
		case "retriever":
			return trainRetriever(ctx, args[1], emit)
		case "ranker":
			return trainRanker(ctx, args[1], emit)
		case "gpu":
			return findGPU(args[1], emit)
		}
	}
	return fail.Usagef("usage: mllm4rec-train retriever|ranker SPEC.json, or gpu NUMBER")
}

// findGPU fails where libtorch does not find the GPU of that number.
func findGPU(number string, emit func(worker.Event)) error {
	index, err := strconv.Atoi(number)
	if err != nil || index < 0 {
		return fail.Usagef("%q is no number of a GPU", number)
	}
	if _, err := torch.CUDA(index); err != nil {
		return err
	}
	emit(worker.Event{Kind: worker.Finished})
	return nil
}

func trainRetriever(ctx context.Context, path string, emit func(worker.Event)) error {
	spec := worker.DefaultRetriever()
	if err := readSpec(path, &spec); err != nil {
		return err
	}
	if err := spec.Validate(); err != nil {
		return err
	}
	unlock, err := lock(ctx, spec.Out)
	if err != nil {
		return err
	}
	defer unlock()
	result, err := lrurec.Train(ctx, spec, emit)
	if err == nil {
		emit(worker.Event{Kind: worker.Finished, Step: result.Steps, Result: &result})
	}
	return err
}

func trainRanker(ctx context.Context, path string, emit func(worker.Event)) error {
	spec := worker.DefaultRanker()
	if err := readSpec(path, &spec); err != nil {
		return err
	}
	if err := spec.Validate(); err != nil {
		return err
	}
	unlock, err := lock(ctx, spec.Out)
	if err != nil {
		return err
	}
	defer unlock()
	result, err := ranker.Train(ctx, spec, emit)
	if err == nil {
		emit(worker.Event{Kind: worker.Finished, Step: result.Steps, Ranker: &result})
	}
	return err
}

// readSpec reads a spec over the defaults; keys that it does not know are errors.
func readSpec(path string, spec any) error {
	file, err := os.Open(path)
	if err != nil {
		return fail.Usagef("spec: %w", err)
	}
	defer func() { _ = file.Close() }()
	decoder := json.NewDecoder(file)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(spec); err != nil {
		return fail.Usagef("%s: %w", path, err)
	}
	return nil
}

// lockPatience is how long a worker waits for another one that is still writing its last checkpoint.
const lockPatience = time.Minute

// lock keeps two workers out of one folder, as a parent that was killed may have left one that is about to stop, and then
// clears away what killed ones left half written.
func lock(ctx context.Context, dir string) (unlock func(), err error) {
	path := filepath.Join(dir, "checkpoint", ".lock")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	l := flock.New(path)
	if _, err := l.TryLockContext(ctx, 100*time.Millisecond); err != nil {
		return nil, fmt.Errorf("%s: another training worker is at work there: %w", dir, err)
	}
	return func() { _ = l.Unlock() }, atomicfile.Sweep(filepath.Dir(path), filepath.Join(dir, "adapter"))
}
