package lrurec

import (
	"math"

	"mllm4rec/pipeline/train/torch"
	"mllm4rec/pipeline/worker"
)

// head is a loss and the part of the weights that it owns the gradients of: the item table and the item biases.
type head interface {
	// step returns the mean loss over the positions and leaves the gradient of hidden in the model's grad.
	step(hidden *torch.Matrix, batch Batch, key uint64) float64
	// embedded takes the gradient of the batch's embedded inputs from the model's grad.
	embedded(batch Batch)
	// squares is the squared norm of table's and biases' gradients.
	squares() float64
	// update moves table and biases.
	update(o torch.AdamW, moments *moments)
}

// moments are AdamW's, for each run of weights. last is kept by sampled losses only: each row's last update.
type moments struct {
	table, bias, dense [2][]float32
	last, lastBias     []int32
}

func newMoments(m *Model, sparse bool) *moments {
	var s moments
	for i := range 2 {
		s.table[i], s.bias[i] = make([]float32, len(m.table.Data)), make([]float32, len(m.itemBias))
		s.dense[i] = make([]float32, len(m.dense.Data))
	}
	if sparse {
		s.last, s.lastBias = make([]int32, m.Items+1), make([]int32, m.Items+1)
	}
	return &s
}

func newHead(m *Model, spec worker.RetrieverSpec, counts []int64, rows int) head {
	if spec.Loss == "softmax" {
		return newSoftmax(m)
	}
	return newSampled(m, spec, newSampler(spec.Sampling, counts), rows)
}

// optimise clips the gradients to the norm clip (0: no bound) and updates every weight. It returns the norm before; where
// that is no number, nothing was updated.
func (m *Model) optimise(h head, o torch.AdamW, moments *moments, clip float64) float64 {
	norm := math.Sqrt(torch.SumOfSquares(m.denseGrad.Data) + h.squares())
	if !finite(norm) {
		return norm
	}
	o.GradientScale = 1
	if clip > 0 && norm > clip {
		o.GradientScale = clip / norm
	}
	d := m.denseDecayed
	first, second := moments.dense[0], moments.dense[1]
	o.Update(m.dense.Data[:d], m.denseGrad.Data[:d], first[:d], second[:d], true)
	o.Update(m.dense.Data[d:], m.denseGrad.Data[d:], first[d:], second[d:], false)
	h.update(o, moments)
	return norm
}
