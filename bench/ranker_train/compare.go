package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"

	"mllm4rec/pipeline/worker"
)

// measured is one measurement: medians over the steps of a round.
type measured struct {
	Seconds    float64   `json:"seconds"` // a step, by the clock
	CPUSeconds float64   `json:"cpu_seconds"`
	Losses     []float64 `json:"losses"`
	PeakBytes  int64     `json:"peak_bytes"`
}

// sides are who is measured, with the allocator of glibc as it is and as the worker is started. Ours comes last.
var sides = []struct{ name, variant, tunables string }{
	{"HF common", "common", ""},
	{"HF letters", "letters", ""},
	{"HF letters, tuned", "letters", worker.Allocator},
	{"ours", "", worker.Allocator},
}

// compare measures all sides in turn and prints the table.
func compare(ctx context.Context, o options) error {
	rounds := make([][]measured, len(sides))
	for range o.rounds {
		for i, side := range sides {
			m, err := measure(ctx, o, side.variant, side.tunables)
			if err != nil {
				return fmt.Errorf("%s: %w", side.name, err)
			}
			rounds[i] = append(rounds[i], m)
		}
	}
	fmt.Printf("%-18s %10s %12s %9s %11s %14s\n", "", "samples/s", "CPU s/sample", "peak MB", "first loss", "ours is faster")
	ours := median(rounds[len(sides)-1])
	for i, side := range sides {
		m, n := median(rounds[i]), float64(o.batch)
		fmt.Printf("%-18s %10.3f %12.2f %9d %11.4f", side.name, n/m.Seconds, m.CPUSeconds/n, m.PeakBytes>>20, m.Losses[0])
		if side.variant != "" {
			fmt.Printf(" %5.2f× (CPU %.2f×)", m.Seconds/ours.Seconds, m.CPUSeconds/ours.CPUSeconds)
		}
		fmt.Println()
	}
	fmt.Printf("wanted: %.1f× samples/s of HF common, and no more memory\n", wanted)
	return nil
}

func median(rounds []measured) measured {
	of := func(value func(measured) float64) float64 {
		var values []float64
		for _, m := range rounds {
			values = append(values, value(m))
		}
		return middle(values)
	}
	return measured{
		Seconds: of(func(m measured) float64 { return m.Seconds }), CPUSeconds: of(func(m measured) float64 { return m.CPUSeconds }),
		PeakBytes: int64(of(func(m measured) float64 { return float64(m.PeakBytes) })), Losses: rounds[0].Losses,
	}
}

func middle(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// measure runs one side in a process of its own: the reference's variant, or ours where that is "".
func measure(ctx context.Context, o options, variant, tunables string) (m measured, err error) {
	program, err := os.Executable()
	if err != nil {
		return m, err
	}
	threads := strconv.Itoa(o.threads)
	args := []string{"-run", o.samples, "-gguf", o.gguf, "-threads", threads, "-micro", strconv.Itoa(o.micro)}
	if variant != "" {
		program = o.python
		args = []string{
			filepath.Join("bench", "ranker_train", "reference.py"), filepath.Dir(o.gguf), filepath.Base(o.gguf), o.samples, variant,
			strconv.Itoa(o.micro), threads, strconv.Itoa(o.steps),
		}
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "GLIBC_TUNABLES="+tunables, "OMP_NUM_THREADS="+threads, "OMP_WAIT_POLICY=passive", "PYTHONWARNINGS=ignore",
		"HF_HUB_OFFLINE=1", "TOKENIZERS_PARALLELISM=false", "TQDM_DISABLE=1", "TRANSFORMERS_VERBOSITY=error")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return m, fmt.Errorf("%s: %w", program, err)
	}
	return m, json.Unmarshal(out, &m)
}
