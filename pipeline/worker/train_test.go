package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mllm4rec/internal/fail"
)

// TestMain makes this test binary a worker: TrainRetriever starts it with a spec whose file name says how to behave.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && (os.Args[1] == "retriever" || os.Args[1] == "ranker") {
		os.Exit(pretend(os.Args[2]))
	}
	os.Exit(m.Run())
}

func pretend(path string) int {
	emit := func(e Event) { _ = json.NewEncoder(os.Stdout).Encode(e) }
	switch filepath.Base(filepath.Dir(path)) {
	case "good":
		emit(Event{Kind: Started, Steps: 2})
		emit(Event{Kind: Progress, Step: 1, Loss: 5})
		emit(Event{Kind: Finished, Result: &RetrieverResult{Steps: 2, Reason: "max_steps"}})
	case "ranked":
		emit(Event{Kind: Finished, Ranker: &RankerResult{BestStep: 7}})
	case "usage":
		emit(Event{Kind: Failed, Error: "sequences.parquet: row 3: item 99 is not in the catalogue", Usage: true})
		return 2
	case "failed":
		emit(Event{Kind: Failed, Error: "disk full"})
		return 1
	case "killed":
		emit(Event{Kind: Progress, Step: 70})
		fmt.Fprintln(os.Stderr, "last words\nof libtorch")
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "silent":
		return 0
	case "garbage":
		fmt.Println("Intel MKL ERROR")
	case "talkative":
		fmt.Println("Intel MKL ERROR")
		for { // until it is told to stop; a full pipe would hold it up for ever
			emit(Event{Kind: Progress, Step: 1})
		}
	case "waiting":
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM)
		emit(Event{Kind: Started})
		<-stop
		emit(Event{Kind: Checkpointed, Step: 9})
		emit(Event{Kind: Failed, Error: "stopped"})
		return 130
	case "full":
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM)
		emit(Event{Kind: Started})
		<-stop
		emit(Event{Kind: Failed, Error: "checkpoint: no space left on device"})
		return 1
	}
	return 0
}

func specFor(t *testing.T, behaviour string) RetrieverSpec {
	spec := DefaultRetriever()
	spec.Sequences, spec.NumItems, spec.Out = "sequences.parquet", 500, filepath.Join(t.TempDir(), behaviour)
	return spec
}

func TestEventsAndResultComeThrough(t *testing.T) {
	t.Parallel()
	var kinds []string
	result, err := TrainRetriever(t.Context(), os.Args[0], specFor(t, "good"), func(e Event) { kinds = append(kinds, e.Kind) })
	if err != nil || result.Steps != 2 || result.Reason != "max_steps" {
		t.Fatalf("result %+v, error %v", result, err)
	}
	if want := []string{Started, Progress, Finished}; !slices.Equal(kinds, want) {
		t.Errorf("events %q, want %q", kinds, want)
	}
}

func TestEveryWayToFailIsOneClearError(t *testing.T) {
	t.Parallel()
	for behaviour, want := range map[string]string{
		"usage":   "row 3: item 99",
		"failed":  "disk full",
		"killed":  "was killed, most likely because memory ran out (a smaller retriever.batch needs less) at step 70; running it again goes on from the last checkpoint; it said last: last words of libtorch",
		"silent":  "ended without a result",
		"garbage": `wrote "Intel MKL ERROR", which is no event`,
	} {
		t.Run(behaviour, func(t *testing.T) {
			t.Parallel()
			_, err := TrainRetriever(t.Context(), os.Args[0], specFor(t, behaviour), nil)
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q", err, want)
			}
			if fail.IsUsage(err) != (behaviour == "usage") {
				t.Errorf("usage error: %v", fail.IsUsage(err))
			}
		})
	}
}

func TestAWorkerThatWritesSomethingElseIsStopped(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err := TrainRetriever(ctx, os.Args[0], specFor(t, "talkative"), nil)
	if err == nil || !strings.Contains(err.Error(), `wrote "Intel MKL ERROR", which is no event`) {
		t.Errorf("error %v", err)
	}
}

func TestCancelLetsTheWorkerWriteItsCheckpoint(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var last, before Event
	_, err := TrainRetriever(ctx, os.Args[0], specFor(t, "waiting"), func(e Event) {
		last, before = e, last
		cancel()
	})
	if !errors.Is(err, context.Canceled) || before.Kind != Checkpointed || last.Error != "stopped" {
		t.Errorf("error %v after events %q and %q", err, before.Kind, last.Kind)
	}
}

func TestACancelThatLeavesNoCheckpointIsToldAsTheFailureThatItIs(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := TrainRetriever(ctx, os.Args[0], specFor(t, "full"), func(Event) { cancel() })
	if err == nil || errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("error %v", err)
	}
}

func TestMissingWorkerSaysHowToGetIt(t *testing.T) {
	t.Parallel()
	_, err := TrainRetriever(t.Context(), filepath.Join(t.TempDir(), "mllm4rec-train"), specFor(t, "good"), nil)
	if !fail.IsUsage(err) || !strings.Contains(err.Error(), "make build") {
		t.Errorf("error %v", err)
	}
}

func TestSpecIsChecked(t *testing.T) {
	t.Parallel()
	for field, spoil := range map[string]func(*RetrieverSpec){
		"num_items":     func(s *RetrieverSpec) { s.NumItems = 1 },
		"loss":          func(s *RetrieverSpec) { s.Loss = "mse" },
		"dropout":       func(s *RetrieverSpec) { s.Dropout = 1 },
		"learning_rate": func(s *RetrieverSpec) { s.LearningRate = -1 },
		"metric":        func(s *RetrieverSpec) { s.Metric = "recall@7" },
		"sequences":     func(s *RetrieverSpec) { s.Sequences = "" },
		"negatives":     func(s *RetrieverSpec) { s.Loss, s.Negatives = "gbce", 501 },
	} {
		spec := specFor(t, "good")
		spoil(&spec)
		if err := spec.Validate(); !fail.IsUsage(err) || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: error %v", field, err)
		}
	}
	if err := specFor(t, "good").Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
}

func TestEnvironmentKeepsWhatTheUserSet(t *testing.T) {
	t.Parallel()
	env := environment([]string{"OMP_WAIT_POLICY=active", "HOME=/h"}, 3)
	want := []string{"OMP_WAIT_POLICY=active", "HOME=/h", "OMP_NUM_THREADS=3"}
	for _, entry := range want {
		if !slices.Contains(env, entry) {
			t.Errorf("%q is missing in %q", entry, env)
		}
	}
	if !hasVariable(env, "GLIBC_TUNABLES") || slices.Contains(env, "OMP_WAIT_POLICY=passive") {
		t.Errorf("environment %q", env)
	}
}
