// Command retriever_train measures training steps of the retriever beside plain PyTorch (reference.py), in one run on one
// machine: the same windows of real users, the same batch, full softmax over the catalogue, the same number of threads, once
// with glibc's allocator as it is and once with the setting that the worker is started with. Rounds alternate.
//
//	go run ./bench/retriever_train
//
// It needs bin/mllm4rec-train, the data sets (MLLM4REC_SHARED or ../shared) and a Python with torch (MLLM4REC_PYTHON or
// python3). Sequences/s are by the clock; CPU seconds a step say more where something else runs on the machine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"mllm4rec/data/source"
)

// options are the flags.
type options struct {
	shared, python, worker string
	rounds, threads, steps int
}

// dataset is one table of the output.
type dataset struct {
	name          string
	source        source.Options
	length, batch int
	wanted        float64 // sequences/s over the reference's
}

func datasets(shared string) []dataset {
	return []dataset{
		{
			name: "MovieLens latest-small", length: 200, batch: 16, wanted: 2.5,
			source: source.Options{Kind: "movielens", Path: filepath.Join(shared, "data", "ml-latest-small")},
		},
		{
			name: "Amazon Beauty", length: 50, batch: 64, wanted: 10,
			source: source.Options{
				Kind: "csv", Path: filepath.Join(shared, "data", "beauty"), Interactions: "ratings_Beauty_5core_order.csv", NoHeader: true,
				Columns: source.Columns{User: "1", Item: "2", Rating: "3", Timestamp: "4"},
			},
		},
	}
}

func main() {
	o := options{}
	flag.StringVar(&o.shared, "shared", either(os.Getenv("MLLM4REC_SHARED"), "../shared"), "folder with the data sets")
	flag.StringVar(&o.python, "python", either(os.Getenv("MLLM4REC_PYTHON"), "python3"), "Python with torch")
	flag.StringVar(&o.worker, "worker", "bin/mllm4rec-train", "training worker")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds, of which the median is taken")
	flag.IntVar(&o.threads, "threads", 2, "CPU threads of each side")
	flag.IntVar(&o.steps, "steps", 20, "steps of the reference in a round; ours makes ten times as many")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "retriever_train:", err)
		os.Exit(1)
	}
}

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func run(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp("", "retriever_train")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	for _, d := range datasets(o.shared) {
		if _, err := os.Stat(d.source.Path); err != nil {
			fmt.Printf("%s: left out, %v\n", d.name, err)
			continue
		}
		if err := compare(ctx, o, d, filepath.Join(dir, filepath.Base(d.source.Path))); err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
	}
	return nil
}
