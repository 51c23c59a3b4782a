// Command serve measures the service as a process on loopback, driven by this one: the retriever alone under a closed and an
// open loop, what HTTP, JSON and the queue add to a bare call, ranking beside the bare ranker, the time until it is ready,
// memory, and beside it a small service of FastAPI and PyTorch with the same two models (peer.py).
//
//	make bench-serve SERVERUN=runs/ml-100k
//	go run ./bench/serve -run runs/ml-100k -overload 10m    # twice its capacity for ten minutes
//	go run ./bench/serve -run runs/ml-100k -restarts 20     # restarts and reloads under load
//
// The generator is load.go: a goroutine and a kept connection a caller. A closed loop finds the capacity; an open one, with
// Poisson arrivals, the latency, which counts from when a request was due. Generator and service share the machine's cores.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"mllm4rec/bench/beside"
	"mllm4rec/configs"
	"mllm4rec/pipeline/recommend"
	"mllm4rec/pipeline/run"
)

// What is asked for.
const (
	wantedPerSecond = 2000 // of the retriever alone, on 2 cores
	wantedP99       = 10 * time.Millisecond
	wantedOverhead  = 300 * time.Microsecond
	wantedRanking   = 0.95 // of the bare ranker
	wantedReady     = 3 * time.Second
)

// topK is how many items are asked for.
const topK = 20

// options are the flags.
type options struct {
	binary, run, python string
	rounds, callers     int
	prompts             int
	length, overload    time.Duration
	restarts            int
	set                 string
}

func main() {
	o := options{}
	flag.StringVar(&o.binary, "binary", "bin/mllm4rec", "the program that serves")
	flag.StringVar(&o.run, "run", "runs/ml-100k", "folder of a finished run")
	flag.StringVar(&o.python, "python", cmp.Or(os.Getenv("MLLM4REC_PYTHON"), "none"), `Python with torch, transformers, gguf, fastapi and uvicorn; "none" measures ours alone`)
	flag.IntVar(&o.rounds, "rounds", 3, "rounds, of which the median is taken")
	flag.IntVar(&o.callers, "callers", 6*runtime.NumCPU(), "callers of the closed loop; by default as many as are in at once, so that none is refused")
	flag.IntVar(&o.prompts, "prompts", 24, "prompts a round; 0 leaves ranking out")
	flag.DurationVar(&o.length, "length", 5*time.Second, "length of a round of the retriever")
	flag.DurationVar(&o.overload, "overload", 0, "send twice its capacity for so long, and nothing else")
	flag.IntVar(&o.restarts, "restarts", 0, "restart and reload it so often under load, and nothing else")
	flag.StringVar(&o.set, "set", "", "a setting of the service, key=value")
	flag.Parse()
	if err := measure(o); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "serve:", err)
		os.Exit(1)
	}
}

func measure(o options) error {
	q, err := readQuestions(o.run)
	if err != nil {
		return fmt.Errorf("%w: -run names a finished run", err)
	}
	return beside.InFolder(func(ctx context.Context, dir string) error {
		switch {
		case o.restarts > 0:
			return restarts(ctx, o, q, dir)
		case o.overload > 0:
			return overload(ctx, o, q, dir)
		default:
			return compare(ctx, o, q, dir)
		}
	})
}

// ours starts the service on the run.
func ours(ctx context.Context, o options, dir string, more ...string) (*service, error) {
	args := append([]string{"serve", "--run", o.run, "--addr", "127.0.0.1:0", "--json", "--set", "serve.admin=true"}, more...)
	if o.set != "" {
		args = append(args, "--set", o.set)
	}
	return start(ctx, dir, o.binary, args...)
}

// live says how the service opens the run.
func live(o options) (recommend.Options, error) {
	loaded, err := configs.Load(configs.Request{Recipe: filepath.Join(o.run, "recipe.yaml"), Flags: []configs.Flag{{Name: "-run", Key: "out", Value: o.run}}})
	if err != nil {
		return recommend.Options{}, err
	}
	return run.Live(loaded, slog.New(slog.DiscardHandler)), nil
}

func machine() string {
	load, _ := os.ReadFile("/proc/loadavg")
	return fmt.Sprintf("%d cores, load %.4s, %s", runtime.NumCPU(), load, runtime.Version())
}
