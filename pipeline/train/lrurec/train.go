package lrurec

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"mllm4rec/export/weights"
	"mllm4rec/internal/atomicfile"
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

// step makes one update.
func (t *trainer) step() error {
	batch := t.batches.at(t.state.Step)
	key := torch.Mix(uint64(t.spec.Seed), uint64(t.state.Step))
	loss, norm, err := t.model.update(t.head, batch, t.model.drops(t.spec.Dropout, t.spec.LRUDropout, key), key, t.moments, t.spec.ClipNorm, torch.AdamW{
		Step: t.state.Step + 1, LearningRate: rate(t.spec, t.state.Step+1), Epsilon: t.spec.Epsilon, Decay: t.spec.WeightDecay,
	})
	if err != nil {
		return err
	}
	if !finite(loss) || !finite(norm) {
		return fmt.Errorf("training diverged at step %d (loss %v, gradient norm %v): lower learning_rate or clip_norm; the last good "+
			"weights are in %s", t.state.Step+1, loss, norm, t.checkpoint.dir)
	}
	t.state.Step++
	t.average.follow(t.model, t.state.Step)
	t.state.LossSum += loss
	t.state.LossSteps++
	t.norm = norm
	return nil
}

// update is one step of a model: forward, backward, optimiser. Weights do not move when loss or norm is no finite number.
func (m *Model) update(h head, batch Batch, drop stepDrops, key uint64, moments *moments, clip float64, o torch.AdamW) (loss, norm float64, err error) {
	hidden := m.forward(batch, drop)
	if m.engine.Err() == nil {
		loss = h.step(hidden, batch, key)
	}
	if err := m.engine.Err(); err != nil || !finite(loss) {
		return loss, 0, err
	}
	m.backward(batch, drop)
	h.embedded(batch)
	if err := m.engine.Err(); err != nil {
		return loss, 0, err
	}
	return loss, m.optimise(h, o, moments, clip), nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// rate is the learning rate of a step, counted from 1.
func rate(spec worker.RetrieverSpec, step int) float64 {
	switch {
	case step < spec.Warmup:
		return spec.LearningRate * float64(step) / float64(spec.Warmup)
	case spec.Schedule == "cosine":
		done := float64(step-spec.Warmup) / float64(max(1, spec.MaxSteps-spec.Warmup))
		return spec.LearningRate * (1 + math.Cos(math.Pi*min(done, 1))) / 2
	}
	return spec.LearningRate
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

// save writes a checkpoint.
func (t *trainer) save() error {
	t.state.Seconds = t.before + time.Since(t.began).Seconds()
	if err := t.checkpoint.save(t.model, t.moments, t.average, t.state); err != nil {
		return err
	}
	t.emit(worker.Event{Kind: worker.Checkpointed, Step: t.state.Step})
	return nil
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
