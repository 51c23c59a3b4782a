// Command captioner measures captioning beside Hugging Face Transformers (reference.py), in one run on one machine: a BLIP-2 model
// of random weights and real shapes, the same photographs, the same number of threads, 20 tokens each. Rounds alternate; every side
// is a process of its own.
//
//	go run ./bench/captioner          ViT 12 × 768, Q-Former 6 × 768, OPT 12 × 768: fits anywhere
//	go run ./bench/captioner -full    the shapes of blip2-opt-2.7b, in int8 and int4 against bfloat16: 25 GB of disk, 16 of memory
//
// It needs make deps, photographs (the grocery pictures of MLLM4REC_SHARED, or any folder), and a Python with torch, transformers
// and Pillow (MLLM4REC_PYTHON or python3). The time of a picture is split into decoding the file, making pixel values, the vision
// model, the Q-Former and the language model. What of it are products of matrices is held against the peak of this processor, which
// a large product of float32 matrices in ONNX Runtime shows, measured in the same round.
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
	python, pictures, library, dir string
	threads, rounds, count, batch  int
	full, models                   bool
	only                           string
	run                            string
}

// What is asked for: pictures/s over the faster of Hugging Face's.
const wantedFP32, wantedQuantised = 1.5, 3.0

func main() {
	shared := filepath.Join(cmp.Or(os.Getenv("MLLM4REC_SHARED"), "../shared"), "data", "grocery")
	o := options{}
	flag.StringVar(&o.python, "python", cmp.Or(os.Getenv("MLLM4REC_PYTHON"), "python3"), "Python with torch, transformers and Pillow")
	flag.StringVar(&o.pictures, "pictures", shared, "folder with photographs")
	flag.StringVar(&o.library, "library", "", "ONNX Runtime's shared library")
	flag.StringVar(&o.dir, "dir", "", "folder for the models, which are kept there; empty means a temporary one")
	flag.IntVar(&o.threads, "threads", runtime.NumCPU(), "CPU threads of each side")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds, of which the median is taken")
	flag.IntVar(&o.count, "count", 16, "photographs")
	flag.IntVar(&o.batch, "batch", 8, "photographs at once")
	flag.BoolVar(&o.full, "full", false, "the shapes of blip2-opt-2.7b")
	flag.BoolVar(&o.models, "models", false, "make the models in -dir and measure nothing")
	flag.StringVar(&o.only, "only", "", "measure the sides whose names hold this")
	flag.StringVar(&o.run, "run", "", "internal: measure this model and print JSON")
	flag.Parse()
	if err := start(o); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "captioner:", err)
		os.Exit(1)
	}
}

func start(o options) error {
	if min(o.threads, o.rounds, o.count, o.batch) < 1 {
		return errors.New("the numbers are 1 or more")
	}
	if o.models && o.dir == "" {
		return errors.New("-models needs -dir, where they are kept")
	}
	return beside.InFolder(func(ctx context.Context, dir string) error {
		if o.run != "" {
			return measureOurs(ctx, o)
		}
		o.dir = cmp.Or(o.dir, dir)
		return compare(ctx, o)
	})
}
