package loop

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mllm4rec/export/weights"
	"mllm4rec/pipeline/worker"
)

// log writes the mean loss since the last line and tells the parent.
func (r *run) log() error {
	loss, rate, seconds := r.state.LossSum/float64(r.state.LossSteps), r.task.Rate(r.state.Step), r.seconds()
	r.state.LossSum, r.state.LossSteps = 0, 0
	perSecond := float64(r.state.Step-r.since) / time.Since(r.logged).Seconds()
	r.mark()
	r.emit(worker.Event{
		Kind: worker.Progress, Step: r.state.Step, Steps: r.MaxSteps, Loss: loss, LearningRate: rate, StepsPerSecond: perSecond,
		ETASeconds: r.eta(perSecond, seconds),
	})
	return r.journal.write(line{Step: r.state.Step, Loss: &loss, Rate: &rate, Norm: &r.norm, Seconds: &seconds})
}

// mark begins the next measurement of steps per second.
func (r *run) mark() { r.logged, r.since = time.Now(), r.state.Step }

// eta is the time to the nearest bound but patience.
func (r *run) eta(perSecond, seconds float64) float64 {
	eta := float64(r.MaxSteps-r.state.Step) / perSecond
	if r.MaxMinutes > 0 {
		eta = min(eta, max(0, 60*r.MaxMinutes-seconds))
	}
	return eta
}

// validate measures, keeps the weights if they are the best so far, and saves.
func (r *run) validate(ctx context.Context) error {
	start := time.Now()
	values, err := r.task.Validate(ctx)
	if err != nil {
		return err
	}
	r.measuring = time.Since(start).Seconds()
	best := len(r.state.Best) == 0 || values[r.Metric] > r.state.Best[r.Metric]
	if best { // before the state says so: a checkpoint may follow an error
		tensors, meta := r.task.Best()
		if err := weights.Write(r.checkpoint.best(r.state.Step), tensors, meta); err != nil {
			return fmt.Errorf("best weights: %w", err)
		}
	}
	r.state.Validated, r.state.Stale = r.state.Step, r.state.Stale+1
	if best {
		r.state.BestStep, r.state.Best, r.state.Stale = r.state.Step, values, 0
	}
	r.mark()
	r.emit(worker.Event{Kind: worker.Validated, Step: r.state.Step, Metrics: values, Best: best})
	return errors.Join(r.journal.write(line{Step: r.state.Step, Val: values}), r.save())
}
