package run

import (
	"context"
	"fmt"
	"os/exec"
	"time"

	"mllm4rec/data/table"
	"mllm4rec/internal/fail"
	"mllm4rec/internal/progress"
	"mllm4rec/pipeline/stage"
	"mllm4rec/pipeline/worker"
)

func (p *pipeline) train() stage.Stage {
	config := p.Config.Section("seed", "retriever")
	delete(config, "retriever.checkpoint_every") // a resumed run gives the same weights, wherever it was stopped
	return stage.Stage{
		Name: Train, Version: 1, Config: config,
		Inputs:  p.paths("items.parquet", "sequences.parquet"),
		Outputs: []string{"retriever.safetensors", "retriever.json", "train_log.jsonl"},
		Partial: []string{"checkpoint", "tensorboard", "train_log.jsonl"},
		GoesOn:  goesOn("retriever", config),
		Room:    180e6, // copies of the weights, most of all
		Check:   p.checkWorker,
		Run:     p.trainRetriever,
	}
}

func (p *pipeline) checkWorker() error {
	if _, err := exec.LookPath(p.Worker); err != nil {
		return fail.Usagef("training needs the program mllm4rec-train beside this one, or where MLLM4REC_TRAIN says; looked for %s: run `make build`", p.Worker)
	}
	return nil
}

func (p *pipeline) trainRetriever(ctx context.Context) error {
	items, err := table.Open[table.Item](p.path("items.parquet"))
	if err != nil {
		return err
	}
	count := items.NumRows()
	if err := items.Close(); err != nil {
		return err
	}
	bar := &trainBar{p: p, stage: Train, metric: p.Config.Retriever.EarlyStop}
	result, err := worker.TrainRetriever(ctx, p.Worker, p.retrieverSpec(int(count)), bar.event)
	bar.finish()
	if err == nil {
		metric := p.Config.Retriever.EarlyStop
		p.log.Info("trained", "steps", result.Steps, "best_step", result.BestStep, metric, result.Best[metric], "ended_by", result.Reason)
	}
	return err
}

// losses are the worker's names of the recipe's losses.
var losses = map[string]string{"full": "softmax", "sampled": "sampled_softmax", "gbce": "gbce"}

func (p *pipeline) retrieverSpec(items int) worker.RetrieverSpec {
	c := p.Config.Retriever
	spec := worker.DefaultRetriever()
	spec.Sequences, spec.NumItems, spec.Out = p.path("sequences.parquet"), items, p.dir
	spec.Hidden, spec.Blocks, spec.MaxLength, spec.Dropout, spec.LRUDropout = c.Hidden, c.Blocks, c.MaxLength, c.Dropout, c.LRUDropout
	spec.Loss, spec.Sampling, spec.GBCECalibration = losses[c.Loss], c.Sampling, c.GBCECalibration
	spec.Negatives = min(c.Negatives, items)
	spec.Batch, spec.LearningRate, spec.WeightDecay, spec.ClipNorm = c.Batch, c.LearningRate, c.WeightDecay, c.Clip
	spec.Schedule, spec.Warmup, spec.Average = c.Schedule, c.WarmupSteps, c.Average
	spec.MaxSteps, spec.MaxMinutes = c.MaxSteps, c.MaxMinutes
	spec.ValidateEvery, spec.Patience, spec.Metric, spec.CheckpointEvery = c.ValidateEvery, c.Patience, c.EarlyStop, c.CheckpointEvery
	spec.Seed, spec.Threads = p.Config.Seed, c.Threads
	return spec
}

// trainBar shows the worker's events.
type trainBar struct {
	p             *pipeline
	stage, metric string // the metric that picks the weights
	bar           *progress.Bar
	best          string
}

func (t *trainBar) event(event worker.Event) {
	switch event.Kind {
	case worker.Started:
		t.bar = t.p.Progress.StartTimed(t.stage, int64(event.Steps), "steps")
		if event.Note != "" {
			t.p.log.Warn(event.Note, "stage", t.stage)
		}
		if event.Step > 0 {
			t.p.log.Info("goes on from the checkpoint", "stage", t.stage, "step", event.Step)
		}
	case worker.Progress:
		if t.bar != nil {
			t.bar.Left(time.Duration(event.ETASeconds * float64(time.Second)))
			t.bar.Set(int64(event.Step), fmt.Sprintf("loss %.3f%s", event.Loss, t.best))
		}
	case worker.Validated:
		if event.Best {
			t.best = fmt.Sprintf(" best %s %.4f", t.metric, event.Metrics[t.metric])
		}
		t.p.log.Info("validated", "step", event.Step, t.metric, event.Metrics[t.metric], "best", event.Best)
	}
}

func (t *trainBar) finish() {
	if t.bar != nil {
		t.bar.Finish()
	}
}
