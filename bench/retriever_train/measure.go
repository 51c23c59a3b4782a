package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"mllm4rec/bench/beside"
	"mllm4rec/data/table"
	"mllm4rec/internal/atomicfile"
	"mllm4rec/pipeline/worker"
)

// sample is one measurement: medians over the steps of a round.
type sample struct {
	Seconds    float64 `json:"seconds"` // a step, by the clock
	CPUSeconds float64 `json:"cpu_seconds"`
	PeakBytes  int64   `json:"peak_bytes"`
}

// allocators are values of GLIBC_TUNABLES: glibc as it is, and as the worker is started.
var allocators = []struct{ name, tunables string }{
	{"default", ""},
	{"tuned", worker.Allocator},
}

// compare prints the table of one data set.
func compare(ctx context.Context, o options, d beside.Set, dir string) error {
	rows, items, err := d.Prepare(ctx, dir)
	if err != nil {
		return err
	}
	count, err := writeWindows(dir, rows, d.Length)
	if err != nil {
		return err
	}
	fmt.Printf("%s: %d windows of up to %d, batch %d, %d items, %d threads\n", d.Name, count, d.Length, d.Batch, items, o.Threads)
	fmt.Printf("%-10s %-8s %12s %12s %10s\n", "allocator", "", "sequences/s", "CPU ms/step", "peak MB")
	samples := map[string][2][]sample{}
	for range o.Rounds {
		for _, a := range allocators {
			theirs, err := reference(ctx, o, d, dir, items, a.tunables)
			if err != nil {
				return err
			}
			mine, err := ours(ctx, o, d, dir, items, a.tunables)
			if err != nil {
				return err
			}
			both := samples[a.name]
			samples[a.name] = [2][]sample{append(both[0], theirs), append(both[1], mine)}
		}
	}
	for _, a := range allocators {
		theirs, mine := median(samples[a.name][0]), median(samples[a.name][1])
		row := func(who string, s sample) {
			fmt.Printf("%-10s %-8s %12.0f %12.1f %10d\n", a.name, who, float64(d.Batch)/s.Seconds, 1000*s.CPUSeconds, s.PeakBytes>>20)
		}
		row("PyTorch", theirs)
		row("ours", mine)
		fmt.Printf("%-10s %-8s %11.1f× %11.1f×    (wanted: %.1f×)\n", a.name, "ratio", theirs.Seconds/mine.Seconds, theirs.CPUSeconds/mine.CPUSeconds, wanted[d.Name])
	}
	fmt.Println()
	return nil
}

func median(samples []sample) sample {
	of := func(value func(sample) float64) float64 {
		var values []float64
		for _, s := range samples {
			values = append(values, value(s))
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	return sample{
		Seconds:    of(func(s sample) float64 { return s.Seconds }),
		CPUSeconds: of(func(s sample) float64 { return s.CPUSeconds }),
		PeakBytes:  int64(of(func(s sample) float64 { return float64(s.PeakBytes) })),
	}
}

// writeWindows writes windows.txt for the reference: the windows that our trainer cuts, items separated by spaces.
func writeWindows(dir string, rows []table.Sequence, length int) (count int, err error) {
	return count, atomicfile.Write(filepath.Join(dir, "windows.txt"), func(w io.Writer) error {
		text := bufio.NewWriter(w)
		for _, row := range rows {
			for to := len(row.Train) - 1; to > 0; to -= length {
				count++
				for _, item := range row.Train[max(0, to-length) : to+1] {
					_, _ = text.WriteString(strconv.Itoa(int(item)) + " ")
				}
				_ = text.WriteByte('\n')
			}
		}
		return text.Flush()
	})
}

func reference(ctx context.Context, o options, d beside.Set, dir string, items int, tunables string) (sample, error) {
	cmd := exec.CommandContext(ctx, o.Python, "bench/retriever_train/reference.py", filepath.Join(dir, "windows.txt"),
		strconv.Itoa(items), strconv.Itoa(d.Length), strconv.Itoa(d.Batch), strconv.Itoa(o.Threads), strconv.Itoa(o.steps))
	cmd.Env = append(os.Environ(), "GLIBC_TUNABLES="+tunables, fmt.Sprintf("OMP_NUM_THREADS=%d", o.Threads), "PYTHONWARNINGS=ignore")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return sample{}, fmt.Errorf("%s reference.py: %w", o.Python, err)
	}
	var s sample
	return s, json.Unmarshal(out, &s)
}

// ours measures the worker as mllm4rec starts it. CPU time is that of a long run less that of a short one.
func ours(ctx context.Context, o options, d beside.Set, dir string, items int, tunables string) (sample, error) {
	if err := os.Setenv("GLIBC_TUNABLES", tunables); err != nil { // what is set, the worker keeps
		return sample{}, err
	}
	short, long := 10, 10+10*o.steps
	_, cpuShort, _, err := train(ctx, o, d, dir, items, short)
	if err != nil {
		return sample{}, err
	}
	rate, cpuLong, peak, err := train(ctx, o, d, dir, items, long)
	return sample{Seconds: 1 / rate, CPUSeconds: (cpuLong - cpuShort) / float64(long-short), PeakBytes: peak}, err
}

// train makes that many steps and returns the median of steps/s, the CPU seconds of the whole run, and its peak memory.
func train(ctx context.Context, o options, d beside.Set, dir string, items, steps int) (rate, cpu float64, peak int64, err error) {
	spec := worker.DefaultRetriever()
	spec.Sequences, spec.Out, spec.NumItems = filepath.Join(dir, "sequences.parquet"), filepath.Join(dir, "out"), items
	spec.MaxLength, spec.Batch, spec.Threads = d.Length, d.Batch, o.Threads
	spec.MaxSteps, spec.LogEvery, spec.ValidateEvery, spec.CheckpointEvery = steps, 10, 1<<29, 0
	if err := os.RemoveAll(spec.Out); err != nil {
		return 0, 0, 0, err
	}
	before := childrenCPU()
	var rates []float64
	result, err := worker.TrainRetriever(ctx, o.worker, spec, func(e worker.Event) {
		if e.Kind == worker.Progress {
			rates = append(rates, e.StepsPerSecond)
		}
	})
	if err == nil && len(rates) == 0 {
		err = errors.New("the worker told nothing of its progress")
	}
	if err != nil {
		return 0, 0, 0, err
	}
	slices.Sort(rates)
	return rates[len(rates)/2], childrenCPU() - before, result.PeakBytes, nil
}

// childrenCPU is the CPU time of all children that have ended, in seconds.
func childrenCPU() float64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_CHILDREN, &u)
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
