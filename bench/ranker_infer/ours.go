package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"mllm4rec/export/llama"
	"mllm4rec/runtime/ort"
	"mllm4rec/runtime/rank"
)

// design is a way to export and to ask.
type design struct {
	name      string
	precision llama.Precision
	// keepsPrefix: the tokens that all prompts begin with are computed once.
	keepsPrefix bool
	// orders of the candidates that each user's prompt comes in.
	orders int
}

var designs = []design{
	{"fp32, prefix not kept", llama.FP32, false, 1},
	{"fp32", llama.FP32, true, 1},
	{"int8", llama.INT8, true, 1},
	{"int4", llama.INT4, true, 1},
	{"fp32, 2 orders a user", llama.FP32, true, 2},
	{"int8, 2 orders a user", llama.INT8, true, 2},
}

// file is where the design's model lies.
func (d design) file(dir string) string {
	name := string(d.precision)
	if !d.keepsPrefix {
		name += "-whole"
	}
	return filepath.Join(dir, name+".onnx")
}

// exportAll writes the models that the designs need.
func exportAll(ctx context.Context, o options, in input, dir string, chosen []design) (err error) {
	base, err := llama.Open(o.gguf)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, base.Close()) }()
	var adapter *llama.Adapter
	if o.adapter != "" {
		if adapter, err = llama.ReadAdapter(o.adapter); err != nil {
			return err
		}
	}
	for _, d := range chosen {
		if _, err := os.Stat(d.file(dir)); err == nil {
			continue
		}
		options := llama.Options{Precision: d.precision, Letters: in.Letters}
		if d.keepsPrefix {
			options.Prefix = in.Prefix
		}
		if err := llama.Export(ctx, base, adapter, d.file(dir), options); err != nil {
			return err
		}
	}
	return nil
}

// measured is one measurement.
type measured struct {
	Seconds    float64     `json:"seconds"` // a prompt, by the clock
	CPUSeconds float64     `json:"cpu_seconds"`
	PeakBytes  int64       `json:"peak_bytes"`
	Scores     [][]float32 `json:"scores"` // [users][letters], of the first order
}

// measureOurs scores the prompts with the model of -run, in this process, and prints what reference.py prints. A run that
// ends with "+" asks for both orders.
func measureOurs(o options) (err error) {
	text, err := os.ReadFile(o.prompts)
	if err != nil {
		return err
	}
	var in input
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	model, both := strings.CutSuffix(o.run, "+")
	ranker, err := rank.Open(model, ort.Options{Library: o.library, Threads: o.threads})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ranker.Close()) }()
	var prompts []rank.Prompt
	for _, user := range in.Users {
		prompts = append(prompts, rank.Prompt{Tokens: user.Tokens})
		if both {
			prompts = append(prompts, rank.Prompt{Tokens: user.Again})
		}
	}
	if _, err := ranker.Score(context.Background(), prompts[:min(len(prompts), 2*o.threads)]); err != nil {
		return err
	}
	start, used := time.Now(), usage()
	scores, err := ranker.Score(context.Background(), prompts)
	if err != nil {
		return err
	}
	n := float64(len(prompts))
	m := measured{Seconds: time.Since(start).Seconds() / n, CPUSeconds: (cpuSeconds(usage()) - cpuSeconds(used)) / n}
	for i := 0; i < len(prompts); i += len(prompts) / len(in.Users) {
		m.Scores = append(m.Scores, scores[i])
	}
	m.PeakBytes = usage().Maxrss << 10
	return json.NewEncoder(os.Stdout).Encode(m)
}

func usage() (u syscall.Rusage) {
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u
}

func cpuSeconds(u syscall.Rusage) float64 {
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
