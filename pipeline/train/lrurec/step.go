package lrurec

import (
	"context"
	"math"

	"mllm4rec/pipeline/train/torch"
)

// Step makes one update.
func (t *task) Step(_ context.Context, step int) (loss, norm float64, err error) {
	key := torch.Mix(uint64(t.spec.Seed), uint64(step))
	drops := t.model.drops(t.spec.Dropout, t.spec.LRUDropout, key)
	loss, norm, err = t.model.update(t.head, t.batches.at(step), drops, key, t.moments, t.spec.ClipNorm, torch.AdamW{
		Step: step + 1, LearningRate: t.Rate(step + 1), Epsilon: t.spec.Epsilon, Decay: t.spec.WeightDecay,
	})
	if err == nil && finite(loss) && finite(norm) {
		t.average.follow(t.model, step+1)
	}
	return loss, norm, err
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
