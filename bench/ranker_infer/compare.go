package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"mllm4rec/data/metric"
)

// side is one of those who are measured: ours has a design, others are variants of reference.py.
type side struct {
	name, variant string
	design        design
	rounds        []measured
}

const huggingFace, llamaCpp = "Hugging Face, fp32", "llama.cpp, Q4_1"

// sides are those that were asked for, Hugging Face first, which the others are compared with.
func sides(ctx context.Context, o options) []*side {
	all := []*side{{name: huggingFace, variant: "transformers"}}
	if module := llamaModule(ctx, o.python); module != "" && o.adapter == "" {
		fmt.Println("llama.cpp is that of the Python module " + module)
		all = append(all, &side{name: llamaCpp, variant: module})
	} else {
		fmt.Println("llama.cpp is left out: Python has neither llama_cpp nor xllamacpp, or there is an adapter")
	}
	for _, d := range designs {
		all = append(all, &side{name: "ours, " + d.name, design: d})
	}
	return slices.DeleteFunc(all, func(s *side) bool { return !strings.Contains(s.name, o.only) })
}

// llamaModule is the module by which this Python has llama.cpp, "" where it has none.
func llamaModule(ctx context.Context, python string) string {
	for _, module := range []string{"llama_cpp", "xllamacpp"} {
		if exec.CommandContext(ctx, python, "-c", "import "+module).Run() == nil {
			return module
		}
	}
	return ""
}

// compare measures all sides in turn and prints the table.
func compare(ctx context.Context, o options, in input, dir string) error {
	all := sides(ctx, o)
	var chosen []design
	for _, s := range all {
		if s.variant == "" {
			chosen = append(chosen, s.design)
		}
	}
	if err := exportAll(ctx, o, in, dir, chosen); err != nil {
		return err
	}
	for range o.rounds {
		for _, s := range all {
			m, err := s.measure(ctx, o, dir)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			s.rounds = append(s.rounds, m)
		}
	}
	show(all, in)
	return nil
}

func show(all []*side, in input) {
	fmt.Printf("%-28s %9s %12s %8s %8s %8s %9s %9s\n", "", "prompts/s", "CPU s/prompt", "peak MB", "faster", "of CPU", "same best", "NDCG@10")
	first := all[0]
	for _, s := range all {
		same, gain := quality(s.rounds[0].Scores, first.rounds[0].Scores, in)
		fmt.Printf("%-28s %9.3f %12.3f %8d %7.2f× %7.2f× %8.1f%% %9.4f\n", s.name, 1/s.seconds(), s.cpu(), s.rounds[0].PeakBytes>>20,
			first.seconds()/s.seconds(), first.cpu()/s.cpu(), 100*same, gain)
	}
	fmt.Printf("wanted, prompts/s: %.1f× %s in fp32, %.1f× in int8 (%.1f× with AVX-512 VNNI), %.1f× %s\n",
		wantedFP32, huggingFace, wantedInt8, wantedVNNI, wantedLlamaCpp, llamaCpp)
}

// quality is the share of prompts with the same best letter as the first side has, and NDCG@10.
func quality(scores, first [][]float32, in input) (same, gain float64) {
	n := float64(len(scores))
	for i, row := range scores {
		if slices.Index(row, slices.Max(row)) == slices.Index(first[i], slices.Max(first[i])) {
			same += 1 / n
		}
		if rank := metric.Rank(row, in.Users[i].Label); rank <= 10 {
			gain += metric.Discount(rank) / n
		}
	}
	return same, gain
}

func (s *side) seconds() float64 { return s.median(func(m measured) float64 { return m.Seconds }) }
func (s *side) cpu() float64     { return s.median(func(m measured) float64 { return m.CPUSeconds }) }

func (s *side) median(value func(measured) float64) float64 {
	var values []float64
	for _, m := range s.rounds {
		values = append(values, value(m))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// measure runs the side in a process of its own.
func (s *side) measure(ctx context.Context, o options, dir string) (m measured, err error) {
	program, err := os.Executable()
	if err != nil {
		return m, err
	}
	threads := strconv.Itoa(o.threads)
	args := []string{"-prompts", o.prompts, "-threads", threads, "-library", o.library, "-run", s.design.file(dir)}
	if s.design.orders > 1 {
		args[len(args)-1] += "+"
	}
	if s.variant != "" {
		program, args = o.python, []string{filepath.Join("bench", "ranker_infer", "reference.py"), o.gguf, o.prompts, s.variant, threads, o.adapter}
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "OMP_NUM_THREADS="+threads, "OMP_WAIT_POLICY=passive", "PYTHONWARNINGS=ignore", "HF_HUB_OFFLINE=1", "TOKENIZERS_PARALLELISM=false",
		"TQDM_DISABLE=1", "TRANSFORMERS_VERBOSITY=error")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return m, fmt.Errorf("%s: %w\n%s", program, err, exit.Stderr)
	}
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(out, &m); err != nil {
		return m, err
	}
	return m, checkFinite(m.Scores)
}

func checkFinite(scores [][]float32) error {
	for i, row := range scores {
		if slices.ContainsFunc(row, func(v float32) bool { return math.IsNaN(float64(v)) }) {
			return fmt.Errorf("prompt %d has no scores", i)
		}
	}
	return nil
}
