package lrurec

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"mllm4rec/internal/atomicfile"
	"mllm4rec/pipeline/train/loop"
	"mllm4rec/pipeline/train/torch"
	"mllm4rec/pipeline/worker"
)

// Train runs spec to its end and writes retriever.safetensors and retriever.json with the best weights into the Out folder.
// A checkpoint there is resumed. When ctx ends, a checkpoint is written and ctx's error returned. emit is called from the
// calling goroutine, which Train locks to its thread.
func Train(ctx context.Context, spec worker.RetrieverSpec, emit func(worker.Event)) (result worker.RetrieverResult, err error) {
	if err := spec.Validate(); err != nil {
		return result, err
	}
	data, err := readSequences(ctx, spec.Sequences, spec.NumItems, spec.MaxLength)
	if err != nil {
		return result, err
	}
	options, err := options(spec, data)
	if err != nil {
		return result, err
	}
	engine := torch.NewEngine(spec.Threads)
	defer func() { err = engine.CloseAfter(err) }()
	t, err := newTask(engine, spec, data)
	if err != nil {
		return result, err
	}
	defer t.model.Close()
	ended, err := loop.Run(ctx, options, t, emit)
	if err != nil {
		return result, err
	}
	return publish(spec, ended)
}

// task is a retriever in training.
type task struct {
	spec      worker.RetrieverSpec
	model     *Model
	head      head
	moments   *moments
	average   *average
	batches   *batches
	validator *validator
	schedule  loop.Schedule
}

func newTask(engine *torch.Engine, spec worker.RetrieverSpec, data *sequences) (*task, error) {
	t := &task{
		spec: spec, batches: newBatches(data, uint64(spec.Seed), spec.Batch),
		schedule: loop.Schedule{Kind: spec.Schedule, Peak: spec.LearningRate, Warmup: spec.Warmup, MaxSteps: spec.MaxSteps},
	}
	rows := t.batches.mostRows()
	t.model = NewModel(engine, Shape{Items: spec.NumItems, Hidden: spec.Hidden, Channels: spec.Channels(), Blocks: spec.Blocks}, rows)
	t.moments = newMoments(t.model, spec.Loss != "softmax")
	t.head = newHead(t.model, spec, data.counts, rows)
	t.validator = newValidator(t.model, data, rows)
	if err := engine.Err(); err != nil {
		t.model.Close()
		return nil, fmt.Errorf("a model of this size does not fit into memory (a smaller retriever.batch or retriever.hidden needs less): %w", err)
	}
	t.model.Initialise(uint64(spec.Seed), spec.RMin, spec.RMax)
	t.average = newAverage(t.model, spec.Average)
	return t, nil
}

// Rate implements loop.Task.
func (t *task) Rate(step int) float64 { return t.schedule.Rate(step) }

// Validate measures the averaged weights, where there are any.
func (t *task) Validate(ctx context.Context) (map[string]float64, error) {
	t.average.swap(t.model)
	defer t.average.swap(t.model)
	return t.validator.run(ctx)
}

// publish copies the best weights and describes them.
func publish(spec worker.RetrieverSpec, ended loop.Result) (worker.RetrieverResult, error) {
	path := filepath.Join(spec.Out, "retriever.safetensors")
	if err := copyFile(ended.Path, path); err != nil {
		return worker.RetrieverResult{}, err
	}
	config, err := writeConfig(spec, ended.State)
	return worker.RetrieverResult{
		Weights: path, Config: config, Steps: ended.Step, BestStep: ended.BestStep, Best: ended.Best,
		Reason: ended.Reason, Seconds: ended.Seconds, PeakBytes: loop.PeakBytes(),
	}, err
}

func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	target, err := atomicfile.Create(to)
	if err != nil {
		return err
	}
	defer target.Abort()
	if _, err := target.ReadFrom(source); err != nil {
		return err
	}
	return target.Commit()
}
