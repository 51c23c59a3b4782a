// Command providers measures retriever, ranker and captioner on the execution providers of this machine, and compares what they give
// with what the CPU gives, on the same random input. bench/gpu.sh calls it where there is a GPU; on the CPU alone it shows how well
// two runs agree.
//
//	go run ./bench/providers -retriever R.onnx -ranker K.onnx -captioner C.onnx -providers cuda,tensorrt
//
// A model that is not named is left out. A provider that cannot be had is an error: nothing falls back in secret.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"mllm4rec/runtime/ort"
)

type options struct {
	files                 map[string]*string
	providers, library    string
	rounds, device, batch int
	fp16                  bool
}

func main() {
	o := options{files: map[string]*string{}}
	for _, kind := range kinds {
		o.files[kind.name] = flag.String(kind.name, "", "the model, an ONNX file")
	}
	flag.StringVar(&o.providers, "providers", "cuda,tensorrt", "providers that are compared with the CPU")
	flag.StringVar(&o.library, "library", "", "ONNX Runtime's shared library")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds, of which the median is taken, after one that warms up")
	flag.IntVar(&o.device, "device", 0, "the GPU")
	flag.IntVar(&o.batch, "batch", 16, "pictures at once")
	flag.BoolVar(&o.fp16, "fp16", false, "let TensorRT compute in float16")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := compare(ctx, o); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "providers:", err)
		os.Exit(1)
	}
}

// compare goes through the models, each on the CPU and then on the others. One that fails does not keep the others from it.
func compare(ctx context.Context, o options) (failed error) {
	fmt.Printf("%-10s %-10s %12s %9s %10s %12s %s\n", "", "", "a second", "faster", "open, s", "largest diff", "same choices")
	for _, kind := range kinds {
		if *o.files[kind.name] == "" {
			continue
		}
		first, err := measure(ctx, o, kind, "cpu")
		if err != nil {
			return fmt.Errorf("%s: %w", kind.name, err)
		}
		show(kind, "cpu", first, first)
		for provider := range strings.SplitSeq(o.providers, ",") {
			m, err := measure(ctx, o, kind, provider)
			if err != nil {
				failed = errors.Join(failed, fmt.Errorf("%s on %s: %w", kind.name, provider, err))
				continue
			}
			show(kind, provider, m, first)
		}
	}
	return failed
}

// measured is what a model gave on a provider, and how fast.
type measured struct {
	given
	seconds, opening float64 // of all input, and until the first answer
}

// given are the scores that a model gives, and what it chooses by them.
type given struct {
	scores  []float32
	choices []int32
}

func measure(ctx context.Context, o options, kind kind, provider string) (m measured, err error) {
	providers := []string{provider, "cuda", "cpu"}
	if provider != "tensorrt" {
		providers = slices.Compact([]string{provider, "cpu"})
	}
	start := time.Now()
	run, closeModel, err := kind.open(*o.files[kind.name], ort.Options{
		Library: o.library, Providers: providers, Strict: true, Device: ort.Device{ID: o.device, FP16: o.fp16 && provider == "tensorrt"},
	}, o)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, closeModel()) }()
	if m.given, err = run(ctx); err != nil {
		return m, err
	}
	m.opening = time.Since(start).Seconds()
	var times []float64
	for range o.rounds {
		start := time.Now()
		if _, err := run(ctx); err != nil {
			return m, err
		}
		times = append(times, time.Since(start).Seconds())
	}
	slices.Sort(times)
	m.seconds = times[len(times)/2]
	return m, nil
}

func show(kind kind, provider string, m, first measured) {
	largest, same := float32(0), 0
	for i, v := range m.scores[:min(len(m.scores), len(first.scores))] {
		largest = max(largest, v-first.scores[i], first.scores[i]-v)
	}
	for i, c := range m.choices {
		if i < len(first.choices) && c == first.choices[i] {
			same++
		}
	}
	fmt.Printf("%-10s %-10s %12.1f %8.2f× %10.1f %12.2g %.1f%% of %d\n", kind.name, provider, float64(kind.count)/m.seconds, first.seconds/m.seconds, m.opening,
		largest, 100*float64(same)/float64(len(m.choices)), len(m.choices))
}
