// Package loop is what training needs whatever the model: bounds, log, validation, early stop, checkpoints that a killed run
// resumes from to the same bits, and the events that the parent process hears.
package loop

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"mllm4rec/export/weights"
	"mllm4rec/pipeline/worker"
)

// Task is a model in training. It is called from one goroutine.
type Task interface {
	// Step makes an update, counted from 0, and returns the mean loss and the gradient's norm. What it does depends on step
	// and the task's tensors only. An error, ctx's among them when ctx ends before, has changed nothing; nor has a loss or
	// norm that is no finite number, which ends the run.
	Step(ctx context.Context, step int) (loss, norm float64, err error)
	// Rate is the learning rate of the update before step.
	Rate(step int) float64
	// Validate measures the model: "ndcg@10" and the like. It returns ctx's error when ctx ends before.
	Validate(ctx context.Context) (map[string]float64, error)
	// Tensors are the task's memory itself: they are written to a checkpoint and filled from it.
	Tensors() []weights.Tensor
	// Best are the tensors that a run keeps of its best step, and what to say of them in the file. It follows a validation.
	Best() ([]weights.Tensor, map[string]string)
}

// Options say how long, where and how often.
type Options struct {
	// Out receives train_log.jsonl, tensorboard/ and checkpoint/.
	Out string
	// Fingerprint is of everything that the weights depend on: a checkpoint with another one is not resumed.
	Fingerprint string
	// Samples is how many the task has; it is told at the start.
	Samples int
	worker.Bounds
	// ValidateFirst and ValidateLast add validations before the first step and after the last. The time of the last one is
	// then part of MaxMinutes.
	ValidateFirst, ValidateLast bool
}

// Result tells of a finished run. Path holds the best weights.
type Result struct {
	State
	Path string
}

// run is a task on its way.
type run struct {
	Options
	task       Task
	checkpoint *checkpoint
	journal    *journal
	state      State
	norm       float64
	began      time.Time // of this process's part
	logged     time.Time // when the last line of the log was written, or training went on after a pause
	since      int       // step of then
	before     float64   // seconds of earlier parts
	measuring  float64   // seconds of the last validation
	emit       func(worker.Event)
}

// Run trains a task to its end. A checkpoint in Out is resumed. When ctx ends, a checkpoint is written and ctx's error
// returned. emit is called from the calling goroutine.
func Run(ctx context.Context, options Options, task Task, emit func(worker.Event)) (result Result, err error) {
	r := &run{Options: options, task: task, emit: emit}
	if err := r.open(); err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, r.journal.close()) }()
	if err := r.loop(ctx); err != nil {
		return result, err
	}
	return Result{r.state, r.checkpoint.best(r.state.BestStep)}, nil
}

// open resumes from the checkpoint, if there is one, and says that training starts.
func (r *run) open() (err error) {
	r.checkpoint = &checkpoint{filepath.Join(r.Out, "checkpoint"), r.Fingerprint}
	fresh := State{Best: map[string]float64{}}
	if r.ValidateFirst {
		fresh.Validated = -1
	}
	var note string
	if r.state, note, err = r.checkpoint.load(r.task.Tensors(), fresh); err != nil {
		return err
	}
	if r.state.Bounds != r.Bounds {
		r.state.Reason, r.state.Bounds = "", r.Bounds
	}
	if r.journal, err = openJournal(r.Out, r.state); err != nil {
		return err
	}
	r.began, r.before = time.Now(), r.state.Seconds
	r.mark()
	r.emit(worker.Event{Kind: worker.Started, Step: r.state.Step, Steps: r.MaxSteps, Sequences: r.Samples, Note: note})
	return nil
}

// loop trains until a bound is met. A run that was stopped inside a validation does it again when it goes on.
func (r *run) loop(ctx context.Context) error {
	for r.state.Reason == "" {
		if r.state.Step%r.ValidateEvery == 0 && r.state.Validated < r.state.Step {
			if err := r.validate(ctx); err != nil {
				return r.stop(err)
			}
		}
		if err := ctx.Err(); err != nil {
			return r.stop(err)
		}
		if r.state.Reason = r.bound(); r.state.Reason != "" {
			break
		}
		if err := r.step(ctx); err != nil {
			return err
		}
	}
	if len(r.state.Best) > 0 && (!r.ValidateLast || r.state.Validated == r.state.Step) {
		return r.save()
	}
	if err := r.validate(ctx); err != nil {
		return r.stop(err)
	}
	return nil
}

// bound says why training is over, or "".
func (r *run) bound() string {
	seconds := r.seconds()
	if r.ValidateLast {
		seconds += r.measuring
	}
	switch {
	case r.state.Step >= r.MaxSteps:
		return "max_steps"
	case r.Patience > 0 && r.state.Stale >= r.Patience:
		return "patience"
	case r.MaxMinutes > 0 && seconds >= 60*r.MaxMinutes:
		return "max_minutes"
	}
	return ""
}

// seconds of training so far, those before a resume included.
func (r *run) seconds() float64 { return r.before + time.Since(r.began).Seconds() }

// step makes one update, logs and saves when it is time. An update that is no number ends the run before it is in a
// checkpoint.
func (r *run) step(ctx context.Context) error {
	loss, norm, err := r.task.Step(ctx, r.state.Step)
	switch {
	case err != nil && ctx.Err() != nil:
		return r.stop(ctx.Err())
	case err != nil:
		return err
	case !finite(loss) || !finite(norm):
		return fmt.Errorf("training diverged at step %d (loss %v, gradient norm %v): lower learning_rate or clip; the last good "+
			"weights are in %s", r.state.Step+1, loss, norm, r.checkpoint.dir)
	}
	r.state.Step++
	r.state.LossSum += loss
	r.state.LossSteps++
	r.norm = norm
	if r.state.Step%r.LogEvery == 0 {
		if err := r.log(); err != nil {
			return err
		}
	}
	if r.CheckpointEvery > 0 && r.state.Step%r.CheckpointEvery == 0 {
		return r.save()
	}
	return nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// stop writes a checkpoint and returns the cause; where it cannot, that is the error, as nobody may take the run for one that
// goes on from here.
func (r *run) stop(cause error) error {
	if err := r.save(); err != nil {
		return fmt.Errorf("%w (training had ended with: %s)", err, cause.Error())
	}
	return cause
}

// save writes a checkpoint.
func (r *run) save() error {
	r.state.Seconds = r.seconds()
	if err := r.checkpoint.save(r.task.Tensors(), r.state); err != nil {
		return err
	}
	r.emit(worker.Event{Kind: worker.Checkpointed, Step: r.state.Step})
	return nil
}

// PeakBytes is the largest resident memory of this process so far.
func PeakBytes() int64 {
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return usage.Maxrss * 1024
}
