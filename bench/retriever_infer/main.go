// Command retriever_infer measures batch and single-user inference of the retriever beside plain PyTorch, in one run on
// one machine: the reference's way (scores at all positions), the same with scores at the last position only, and ours
// (the exported ONNX file on ONNX Runtime). Users are the real ones of Amazon Beauty and MovieLens latest-small, weights are
// random: speed does not depend on them. The three must agree on the items before anything is timed.
//
//	go run ./bench/retriever_infer
//
// It needs the data sets (MLLM4REC_SHARED or ../shared) and a Python with torch and numpy (MLLM4REC_PYTHON or python3).
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
	shared, python, library string
	users, rounds, threads  int
	profile                 string
}

// dataset is one table of the output.
type dataset struct {
	name         string
	source       source.Options
	maxLength    int // of the model
	batch        int // of the reference, as upstream sets it
	overAll      float64
	overLast     float64
	milliseconds float64 // p50 of one user with maxLength items that is asked for
}

func datasets(shared string) []dataset {
	return []dataset{
		{
			name: "Amazon Beauty", maxLength: 50, batch: 64, overAll: 40, overLast: 5, milliseconds: 1,
			source: source.Options{
				Kind: "csv", Path: filepath.Join(shared, "data", "beauty"), Interactions: "ratings_Beauty_5core_order.csv", NoHeader: true,
				Columns: source.Columns{User: "1", Item: "2", Rating: "3", Timestamp: "4"},
			},
		},
		{
			name: "MovieLens latest-small", maxLength: 200, batch: 16, overAll: 20, overLast: 3, milliseconds: 2,
			source: source.Options{Kind: "movielens", Path: filepath.Join(shared, "data", "ml-latest-small")},
		},
	}
}

func main() {
	o := options{}
	flag.StringVar(&o.shared, "shared", either(os.Getenv("MLLM4REC_SHARED"), "../shared"), "folder with the data sets")
	flag.StringVar(&o.python, "python", either(os.Getenv("MLLM4REC_PYTHON"), "python3"), "Python with torch and numpy; \"none\" measures ours alone")
	flag.StringVar(&o.library, "library", "", "ONNX Runtime's shared library")
	flag.IntVar(&o.users, "users", 2048, "users a round, drawn from the data set; 0 is all")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds, of which the median is taken")
	flag.IntVar(&o.threads, "threads", 0, "CPU threads of each side; 0 is one a CPU")
	flag.StringVar(&o.profile, "profile", "", "prefix of ONNX Runtime traces to write")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "retriever_infer:", err)
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
	dir, err := os.MkdirTemp("", "retriever_infer")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	for _, d := range datasets(o.shared) {
		if _, err := os.Stat(d.source.Path); err != nil {
			fmt.Printf("%s: left out, %v\n", d.name, err)
			continue
		}
		if err := measure(ctx, o, d, filepath.Join(dir, filepath.Base(d.source.Path))); err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
	}
	return nil
}
