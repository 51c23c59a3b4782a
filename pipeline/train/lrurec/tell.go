package lrurec

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"mllm4rec/export/weights"
	"mllm4rec/internal/atomicfile"
	"mllm4rec/pipeline/worker"
)

// log writes the mean loss since the last line and tells the parent.
func (t *trainer) log() error {
	loss, lr, seconds := t.state.LossSum/float64(t.state.LossSteps), rate(t.spec, t.state.Step), t.before+time.Since(t.began).Seconds()
	t.state.LossSum, t.state.LossSteps = 0, 0
	perSecond := float64(t.state.Step-t.since) / time.Since(t.logged).Seconds()
	t.mark()
	t.emit(worker.Event{
		Kind: worker.Progress, Step: t.state.Step, Steps: t.spec.MaxSteps, Loss: loss, LearningRate: lr, StepsPerSecond: perSecond,
		ETASeconds: t.eta(perSecond, seconds),
	})
	return t.journal.write(line{Step: t.state.Step, Loss: &loss, Rate: &lr, Norm: &t.norm, Seconds: &seconds})
}

// mark begins the next measurement of steps per second.
func (t *trainer) mark() { t.logged, t.since = time.Now(), t.state.Step }

// eta is the time to the nearest bound but patience.
func (t *trainer) eta(perSecond, seconds float64) float64 {
	eta := float64(t.spec.MaxSteps-t.state.Step) / perSecond
	if t.spec.MaxMinutes > 0 {
		eta = min(eta, max(0, 60*t.spec.MaxMinutes-seconds))
	}
	return eta
}

// validate measures, keeps the weights if they are the best so far, and saves.
func (t *trainer) validate(ctx context.Context) error {
	values, best, err := t.measure(ctx)
	if err != nil {
		return err
	}
	t.mark()
	t.emit(worker.Event{Kind: worker.Validated, Step: t.state.Step, Metrics: values, Best: best})
	return errors.Join(t.journal.write(line{Step: t.state.Step, Val: values}), t.save())
}

// measure validates the averaged weights, where there are any, and keeps them if they are the best so far.
func (t *trainer) measure(ctx context.Context) (values map[string]float64, best bool, err error) {
	t.average.swap(t.model)
	defer t.average.swap(t.model)
	if values, err = t.validator.run(ctx); err != nil {
		return nil, false, err
	}
	best = t.state.BestStep == 0 || values[t.spec.Metric] > t.state.Best[t.spec.Metric]
	t.state.Stale++
	t.state.Validated = t.state.Step
	if best {
		t.state.BestStep, t.state.Best, t.state.Stale = t.state.Step, values, 0
		meta := map[string]string{"format": "pt", "mllm4rec.architecture": "lrurec"}
		if err := weights.Write(t.checkpoint.best(t.state.Step), t.model.Export(), meta); err != nil {
			return nil, false, fmt.Errorf("best weights: %w", err)
		}
	}
	return values, best, nil
}

// finish publishes the best weights.
func (t *trainer) finish() (worker.RetrieverResult, error) {
	path := filepath.Join(t.spec.Out, "retriever.safetensors")
	if err := copyFile(t.checkpoint.best(t.state.BestStep), path); err != nil {
		return worker.RetrieverResult{}, err
	}
	configPath, err := writeConfig(t.spec, t.state)
	return worker.RetrieverResult{
		Weights: path, Config: configPath, Steps: t.state.Step, BestStep: t.state.BestStep, Best: t.state.Best,
		Reason: t.state.Reason, Seconds: t.state.Seconds, PeakBytes: peakBytes(),
	}, err
}

// peakBytes is the largest resident memory of this process so far.
func peakBytes() int64 {
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return usage.Maxrss * 1024
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
