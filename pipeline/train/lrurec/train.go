package lrurec

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mllm4rec/pipeline/train/torch"
	"mllm4rec/pipeline/worker"
)

// trainer is one run.
type trainer struct {
	spec       worker.RetrieverSpec
	model      *Model
	head       head
	moments    *moments
	average    *average
	batches    *batches
	validator  *validator
	checkpoint *checkpoint
	journal    *journal
	state      state
	norm       float64
	began      time.Time // of this process's part
	logged     time.Time // when the last line of the log was written, or training went on after a pause
	since      int       // step of then
	before     float64   // seconds of earlier parts
	emit       func(worker.Event)
}

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
	engine := torch.NewEngine(spec.Threads)
	defer func() { err = errors.Join(err, engine.Close()) }()
	t, err := newTrainer(engine, spec, data, emit)
	if err != nil {
		return result, err
	}
	defer t.model.Close()
	defer func() { err = errors.Join(err, t.journal.close()) }()
	if err := t.loop(ctx); err != nil {
		return result, err
	}
	return t.finish()
}

func newTrainer(engine *torch.Engine, spec worker.RetrieverSpec, data *sequences, emit func(worker.Event)) (*trainer, error) {
	t := &trainer{spec: spec, emit: emit, batches: newBatches(data, uint64(spec.Seed), spec.Batch)}
	rows := t.batches.mostRows()
	t.model = NewModel(engine, Shape{Items: spec.NumItems, Hidden: spec.Hidden, Channels: spec.Channels(), Blocks: spec.Blocks}, rows)
	t.moments = newMoments(t.model, spec.Loss != "softmax")
	t.head = newHead(t.model, spec, data.counts, rows)
	t.validator = newValidator(t.model, data, rows)
	if err := engine.Err(); err != nil {
		t.model.Close()
		return nil, fmt.Errorf("a model of this size does not fit into memory: %w", err)
	}
	t.model.Initialise(uint64(spec.Seed), spec.RMin, spec.RMax)
	t.average = newAverage(t.model, spec.Average)
	if err := t.open(data); err != nil {
		t.model.Close()
		return nil, err
	}
	return t, nil
}

// open resumes from the checkpoint, if there is one, and says that training starts.
func (t *trainer) open(data *sequences) (err error) {
	if t.checkpoint, err = newCheckpoint(t.spec, data); err != nil {
		return err
	}
	var note string
	if t.state, note, err = t.checkpoint.load(t.model, t.moments, t.average); err != nil {
		return err
	}
	if t.journal, err = openJournal(t.spec.Out, t.state.Step); err != nil {
		return err
	}
	t.began, t.before = time.Now(), t.state.Seconds
	t.mark()
	t.emit(worker.Event{Kind: worker.Started, Step: t.state.Step, Steps: t.spec.MaxSteps, Sequences: len(data.windows), Note: note})
	return nil
}

// loop trains until a bound is met. A run that was stopped inside a validation does it again when it goes on.
func (t *trainer) loop(ctx context.Context) error {
	for t.state.Reason == "" {
		if t.state.Step%t.spec.ValidateEvery == 0 && t.state.Validated < t.state.Step {
			if err := t.validate(ctx); err != nil {
				return errors.Join(err, t.save())
			}
		}
		if err := ctx.Err(); err != nil {
			return errors.Join(err, t.save())
		}
		if t.state.Reason = t.bound(); t.state.Reason != "" {
			break
		}
		if err := t.step(); err != nil {
			return err
		}
		if err := t.afterStep(); err != nil {
			return err
		}
	}
	if t.state.BestStep > 0 {
		return t.save()
	}
	if err := t.validate(ctx); err != nil { // ended before the first validation
		return errors.Join(err, t.save())
	}
	return nil
}

// bound says why training is over, or "".
func (t *trainer) bound() string {
	t.state.Seconds = t.before + time.Since(t.began).Seconds()
	switch {
	case t.state.Step >= t.spec.MaxSteps:
		return "max_steps"
	case t.spec.Patience > 0 && t.state.Stale >= t.spec.Patience:
		return "patience"
	case t.spec.MaxMinutes > 0 && t.state.Seconds >= 60*t.spec.MaxMinutes:
		return "max_minutes"
	}
	return ""
}

// afterStep logs and saves when it is time.
func (t *trainer) afterStep() error {
	if t.state.Step%t.spec.LogEvery == 0 {
		if err := t.log(); err != nil {
			return err
		}
	}
	if t.spec.CheckpointEvery > 0 && t.state.Step%t.spec.CheckpointEvery == 0 {
		return t.save()
	}
	return nil
}

// save writes a checkpoint.
func (t *trainer) save() error {
	t.state.Seconds = t.before + time.Since(t.began).Seconds()
	if err := t.checkpoint.save(t.model, t.moments, t.average, t.state); err != nil {
		return err
	}
	t.emit(worker.Event{Kind: worker.Checkpointed, Step: t.state.Step})
	return nil
}
