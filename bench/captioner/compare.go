package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"mllm4rec/export/blip2"
	"mllm4rec/export/matrix"
	"mllm4rec/export/weights"
)

// side is one of those who are measured: ours has a precision, others are data types of reference.py.
type side struct {
	name, dtype string
	precision   matrix.Precision
	rounds      []measured
}

// sides are those that were asked for. The full shapes are measured where they are fastest: float32 takes 15 GB.
func sides(o options) []*side {
	all := []*side{
		{name: "Hugging Face, fp32", dtype: "float32"}, {name: "Hugging Face, bf16", dtype: "bfloat16"},
		{name: "ours, fp32", precision: matrix.FP32}, {name: "ours, int8", precision: matrix.INT8}, {name: "ours, int4", precision: matrix.INT4},
	}
	return slices.DeleteFunc(all, func(s *side) bool {
		return !strings.Contains(s.name, o.only) || o.full && strings.HasSuffix(s.name, "fp32")
	})
}

// compare makes the models, measures all sides in turn and prints the table.
func compare(ctx context.Context, o options) error {
	if _, err := o.photographs(); err != nil && !o.models {
		return err
	}
	config, dtype, folder := midSize, weights.F32, filepath.Join(o.dir, "mid")
	if o.full {
		config, dtype, folder = full, weights.BF16, filepath.Join(o.dir, "full")
	}
	c, err := writeCheckpoint(folder, config, dtype)
	if err != nil {
		return err
	}
	all := sides(o)
	for _, s := range all {
		if err := s.export(ctx, folder); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	if o.models {
		return nil
	}
	fmt.Printf("ViT %d × %d, Q-Former %d × %d, OPT %d × %d; %d photographs, %d at once, %d tokens each, %d threads a side\n", c.Vision.Layers, c.Vision.Hidden,
		c.QFormer.Layers, c.QFormer.Hidden, c.Text.Layers, c.Text.Hidden, o.count, o.batch, newTokens, o.threads)
	for range o.rounds {
		for _, s := range all {
			m, err := s.measure(ctx, o, folder)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			s.rounds = append(s.rounds, m)
		}
	}
	show(all)
	showParts(all, c)
	return nil
}

// file is where our model of the precision lies.
func (s *side) file(folder string) string {
	return filepath.Join(folder, string(s.precision)+".onnx")
}

// export writes our model, unless it is there.
func (s *side) export(ctx context.Context, folder string) (err error) {
	if _, err := os.Stat(s.file(folder)); s.dtype != "" || err == nil {
		return nil
	}
	ck, err := blip2.Open(folder)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ck.Close()) }()
	return blip2.Export(ctx, ck, s.file(folder), blip2.Options{Precision: s.precision})
}

func show(all []*side) {
	fmt.Printf("\n%-20s %10s %13s %8s", "by the clock, CPU", "pictures/s", "CPU s/picture", "peak MB")
	var theirs []*side
	for _, s := range all {
		if s.dtype != "" {
			theirs = append(theirs, s)
			fmt.Printf(" %19s", "× "+s.name)
		}
	}
	fmt.Printf(" %11s\n", "same tokens")
	for _, s := range all {
		fmt.Printf("%-20s %10.3f %13.3f %8d", s.name, 1/s.seconds(), s.median(cpu), s.rounds[0].PeakBytes>>20)
		for _, t := range theirs {
			fmt.Printf(" %9.2f×, %6.2f×", s.faster(t, wall), s.faster(t, cpu))
		}
		fmt.Printf(" %10.1f%%\n", 100*same(s.rounds[0].Tokens, all[0].rounds[0].Tokens))
	}
	fmt.Printf("wanted: %.1f× Hugging Face in fp32, %.1f× quantised\n", wantedFP32, wantedQuantised)
}

func wall(m measured) float64 { return m.Seconds }
func cpu(m measured) float64  { return m.CPUSeconds }

// faster is the median over the rounds of what the other takes over what this takes.
func (s *side) faster(other *side, of func(measured) float64) float64 {
	var ratios []float64
	for i := range s.rounds {
		ratios = append(ratios, of(other.rounds[i])/of(s.rounds[i]))
	}
	slices.Sort(ratios)
	return ratios[len(ratios)/2]
}

// showParts splits the time of a picture, and holds the products of matrices against the processor's peak in float32.
func showParts(all []*side, c *blip2.Config) {
	vision, qformer, language := flop(c, newTokens)
	fmt.Printf("\n%-20s %9s %8s %8s %8s %8s %8s %8s %9s\n", "a picture, ms", "decode", "prepare", "vision", "Q-Former", "language", "reached", "peak", "of peak")
	for _, s := range all {
		ms := func(part func(measured) float64) float64 { return 1000 * s.median(part) }
		fmt.Printf("%-20s %9.1f %8.1f %8.1f %8.1f %8.1f", s.name, ms(func(m measured) float64 { return m.Decode }), ms(func(m measured) float64 { return m.Prepare }),
			ms(func(m measured) float64 { return m.Vision }), ms(func(m measured) float64 { return m.QFormer }), ms(func(m measured) float64 { return m.Language }))
		if s.dtype == "" {
			reached := s.median(func(m measured) float64 { return (vision + qformer + language) / m.CPUSeconds })
			peak := s.median(func(m measured) float64 { return m.Flops })
			fmt.Printf(" %8.0f %8.0f %8.0f%%", reached/1e9, peak/1e9, 100*reached/peak)
		}
		fmt.Println()
	}
	fmt.Printf("reached and peak: GFLOP a CPU second, of a whole picture and of a large product in float32\n")
	fmt.Printf("products of matrices, GFLOP a picture: vision %.1f, Q-Former %.1f, language %.1f\n", vision/1e9, qformer/1e9, language/1e9)
}

func (s *side) seconds() float64 { return s.median(wall) }

func (s *side) median(value func(measured) float64) float64 {
	var values []float64
	for _, m := range s.rounds {
		values = append(values, value(m))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// same is the share of tokens that two sides have in the same places.
func same(a, b [][]int32) float64 {
	equal, count := 0, 0
	for i := range a {
		for j := range a[i] {
			if count++; i < len(b) && j < len(b[i]) && a[i][j] == b[i][j] {
				equal++
			}
		}
	}
	return float64(equal) / float64(max(1, count))
}

// measure runs the side in a process of its own.
func (s *side) measure(ctx context.Context, o options, folder string) (m measured, err error) {
	program, err := os.Executable()
	if err != nil {
		return m, err
	}
	numbers := []string{strconv.Itoa(o.threads), strconv.Itoa(o.count), strconv.Itoa(o.batch)}
	args := []string{"-run", s.file(folder), "-library", o.library, "-pictures", o.pictures, "-threads", numbers[0], "-count", numbers[1], "-batch", numbers[2]}
	if s.dtype != "" {
		files, err := o.photographs()
		if err != nil {
			return m, err
		}
		program = o.python
		args = append([]string{filepath.Join("bench", "captioner", "reference.py"), folder, s.dtype, numbers[0], numbers[2], strconv.Itoa(newTokens)}, files...)
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "OMP_NUM_THREADS="+numbers[0], "OMP_WAIT_POLICY=passive", "PYTHONWARNINGS=ignore", "HF_HUB_OFFLINE=1", "TQDM_DISABLE=1",
		"TRANSFORMERS_VERBOSITY=error")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return m, fmt.Errorf("%s: %w\n%s", program, err, exit.Stderr)
	}
	if err != nil {
		return m, err
	}
	return m, json.Unmarshal(out, &m)
}
