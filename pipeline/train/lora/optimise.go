package lora

import (
	"math"

	"mllm4rec/pipeline/train/torch"
)

// Optimiser moves a model's adapters by what Learn adds up.
type Optimiser struct {
	model         *Model
	first, second []float32 // AdamW's moments
}

// NewOptimiser begins with moments of zero.
func NewOptimiser(m *Model) *Optimiser {
	n := len(m.values.Data)
	return &Optimiser{m, make([]float32, n), make([]float32, n)}
}

// Begin clears the gradients.
func (o *Optimiser) Begin() { o.model.grads.Zero() }

// Step moves the adapters by their gradients, whose norm is cut to clip (0: left as it is), and returns the norm before that.
// One that is no finite number moves nothing.
func (o *Optimiser) Step(adamw torch.AdamW, clip float64) (norm float64) {
	m := o.model
	norm = math.Sqrt(torch.SumOfSquares(m.grads.Data))
	if math.IsNaN(norm) || math.IsInf(norm, 0) {
		return norm
	}
	adamw.GradientScale = 1
	if clip > 0 && norm > clip {
		adamw.GradientScale = clip / norm
	}
	adamw.Update(m.values.Data, m.grads.Data, o.first, o.second, true)
	return norm
}

// Memory is the adapters and the moments themselves, by name.
func (o *Optimiser) Memory() map[string][]float32 {
	return map[string][]float32{"adapters": o.model.values.Data, "first": o.first, "second": o.second}
}
