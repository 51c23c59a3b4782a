package lrurec

import (
	"fmt"
	"math"

	"mllm4rec/pipeline/train/torch"
	"mllm4rec/pipeline/worker"
)

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
