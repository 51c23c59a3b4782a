package lrurec

import (
	"slices"

	"mllm4rec/pipeline/train/torch"
)

// average is the exponential moving average of a model's weights. It forgets the noise of single batches, so it ranks
// better than the weights of any one step; validation measures it and it is what a run keeps. A nil average is none.
type average struct {
	decay              float64
	table, bias, dense []float32
}

// newAverage starts at the model's weights; decay 0 means no averaging.
func newAverage(m *Model, decay float64) *average {
	if decay == 0 {
		return nil
	}
	return &average{decay: decay, table: slices.Clone(m.table.Data), bias: slices.Clone(m.itemBias), dense: slices.Clone(m.dense.Data)}
}

// follow takes in the weights after a step, counted from 1. The first steps weigh more, so that the random start fades.
func (a *average) follow(m *Model, step int) {
	if a == nil {
		return
	}
	decay := min(a.decay, float64(1+step)/float64(10+step))
	torch.Average(a.table, m.table.Data, decay)
	torch.Average(a.bias, m.itemBias, decay)
	torch.Average(a.dense, m.dense.Data, decay)
}

// swap exchanges the model's weights with the average; a second call brings them back.
func (a *average) swap(m *Model) {
	if a == nil {
		return
	}
	exchange(a.table, m.table.Data)
	exchange(a.bias, m.itemBias)
	exchange(a.dense, m.dense.Data)
}

func exchange(a, b []float32) {
	for i := range a {
		a[i], b[i] = b[i], a[i]
	}
}
