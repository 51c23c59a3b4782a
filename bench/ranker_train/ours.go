package main

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"slices"
	"syscall"
	"time"

	"mllm4rec/export/llama"
	"mllm4rec/pipeline/train/loop"
	"mllm4rec/pipeline/train/lora"
	"mllm4rec/pipeline/train/torch"
	"mllm4rec/pipeline/worker"
)

// measureOurs makes the steps of reference.py with our model, in this process, and prints what it prints.
func measureOurs(o options) (err error) {
	text, err := os.ReadFile(o.run)
	if err != nil {
		return err
	}
	var in data
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	base, err := llama.Open(o.gguf)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, base.Close()) }()
	engine := torch.NewEngine(o.threads)
	defer func() { err = errors.Join(err, engine.Close()) }()
	spec := worker.DefaultRanker()
	model, err := lora.NewModel(engine, base, base.Config(), lora.Settings{
		Rows: o.micro * longest(in), Answers: o.micro, Targets: spec.Targets, Rank: spec.Rank, Alpha: spec.Alpha,
		Head: in.Letters, Positions: longest(in),
	})
	if err != nil {
		return err
	}
	defer model.Close()
	model.Initialise(0)
	optimiser, made := lora.NewOptimiser(model), measured{}
	var seconds, cpu []float64
	for i, batch := range in.Steps {
		start, used := time.Now(), cpuSeconds()
		loss, err := step(model, optimiser, spec, batch, len(in.Letters), o.micro, i)
		if err != nil {
			return err
		}
		seconds, cpu = append(seconds, time.Since(start).Seconds()), append(cpu, cpuSeconds()-used)
		made.Losses = append(made.Losses, loss)
	}
	made.Seconds, made.CPUSeconds, made.PeakBytes = middle(seconds[1:]), middle(cpu[1:]), loop.PeakBytes()
	return json.NewEncoder(os.Stdout).Encode(made)
}

func longest(in data) int {
	n := 0
	for _, batch := range in.Steps {
		for _, s := range batch {
			n = max(n, len(s.Tokens))
		}
	}
	return n
}

// step is one of the reference's: sorted by length, cut into micro-batches, clipped, AdamW.
func step(model *lora.Model, optimiser *lora.Optimiser, spec worker.RankerSpec, batch []sample, letters, micro, i int) (loss float64, err error) {
	slices.SortStableFunc(batch, func(a, b sample) int { return len(a.Tokens) - len(b.Tokens) })
	optimiser.Begin()
	for part := range slices.Chunk(batch, micro) {
		var samples []lora.Sample
		for _, s := range part {
			samples = append(samples, lora.Sample{Tokens: s.Tokens, Answers: []int32{int32(s.Label)}, Choices: letters})
		}
		sum, err := model.Learn(context.Background(), samples, 1/float64(len(batch)), lora.Dropout{Rate: spec.Dropout, Key: torch.Mix(uint64(i), uint64(len(part)))})
		if err != nil {
			return 0, err
		}
		loss += sum / float64(len(batch))
	}
	optimiser.Step(torch.AdamW{Step: i + 1, LearningRate: spec.LearningRate, Epsilon: 1e-8}, spec.ClipNorm)
	if math.IsNaN(loss) {
		return loss, errors.New("the loss is no number")
	}
	return loss, nil
}

// cpuSeconds is what all cores have spent on this process.
func cpuSeconds() float64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
