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
	"flag"
	"fmt"
	"os"

	"mllm4rec/bench/beside"
)

// options are the flags.
type options struct {
	beside.Flags
	worker string
	steps  int
}

// wanted are sequences/s over the reference's.
var wanted = map[string]float64{beside.LatestSmall: 2.5, beside.Beauty: 10}

func main() {
	o := options{}
	flag.StringVar(&o.worker, "worker", "bin/mllm4rec-train", "training worker")
	flag.IntVar(&o.steps, "steps", 20, "steps of the reference in a round, the first 3 to warm up; ours makes ten times as many")
	o.Parse("torch")
	if o.steps < 4 {
		_, _ = fmt.Fprintf(os.Stderr, "retriever_train: -steps %d: 4 or more\n", o.steps)
		os.Exit(1)
	}
	err := o.Run(func(ctx context.Context, set beside.Set, dir string) error { return compare(ctx, o, set, dir) })
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "retriever_train:", err)
		os.Exit(1)
	}
}
