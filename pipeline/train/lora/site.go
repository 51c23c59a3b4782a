package lora

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"mllm4rec/pipeline/train/torch"
)

// Targets are the linear layers that can be adapted, in the order in which a layer computes them.
var Targets = []string{"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}

// Their indices.
const (
	queryTarget = iota
	keyTarget
	valueTarget
	outTarget
	gateTarget
	upTarget
	downTarget
)

// site is one adapted linear layer (arXiv 2106.09685): y += scale · dropout(x) Aᵀ Bᵀ. A is [rank, in]; B is held transposed,
// [rank, out], so that both are read row by row.
type site struct {
	name         string // "model.layers.0.self_attn.q_proj"
	index        uint64 // of the dropout's key
	in, out      int
	rank         int
	scale        float32
	a, b         []float32
	gradA, gradB []float32
}

// forward adds the site's part of x's rows to y and keeps u [rows, rank] = dropout(x) Aᵀ for the backward pass.
func (s *site) forward(x view, rows int, p *pass, u []float32, y view) {
	if s == nil {
		return
	}
	s.project(x, rows, p, u)
	loraUp(u, rows, s.rank, s.b, s.out, s.scale, torch.Dropout{}, y)
}

// project makes u alone.
func (s *site) project(x view, rows int, p *pass, u []float32) {
	loraDown(x, rows, s.in, p.dropout(s), s.a, s.rank, 1, u)
}

// backward adds the gradients of A and B to what is there, and to gradX (unless its data is nil) that of x. grad is y's.
func (s *site) backward(x view, rows int, p *pass, u []float32, grad, gradX view) {
	if s == nil {
		return
	}
	du := p.rankScratch[:rows*s.rank]
	loraDown(grad, rows, s.out, torch.Dropout{}, s.b, s.rank, s.scale, du)
	loraOuter(u, rows, s.rank, grad, s.out, torch.Dropout{}, s.scale, s.gradB)
	loraOuter(du, rows, s.rank, x, s.in, p.dropout(s), 1, s.gradA)
	if gradX.data != nil {
		loraUp(du, rows, s.rank, s.a, s.in, 1, p.dropout(s), gradX)
	}
}

// siteName is what peft calls the layer.
func siteName(layer, target int) string {
	part := "self_attn"
	if target >= gateTarget {
		part = "mlp"
	}
	return fmt.Sprintf("model.layers.%d.%s.%s", layer, part, Targets[target])
}

// initialise draws A as peft does (uniform within ±1/√in, which is Kaiming's rule with a = √5) and clears B, so that training
// begins at the base model.
func (s *site) initialise(random *rand.Rand) {
	bound := 1 / math.Sqrt(float64(s.in))
	for i := range s.a {
		s.a[i] = float32((2*random.Float64() - 1) * bound)
	}
	clear(s.b)
}

// transposed is x [rows, cols] as [cols, rows].
func transposed(x []float32, rows, cols int) []float32 {
	out := make([]float32, len(x))
	for i := range rows {
		for j := range cols {
			out[j*rows+i] = x[i*cols+j]
		}
	}
	return out
}

// targetIndices turns names into indices, ascending.
func targetIndices(names []string) ([]int, error) {
	var indices []int
	for _, name := range names {
		i := slices.Index(Targets, name)
		if i < 0 {
			return nil, fmt.Errorf("no linear layer is called %q (there are %q)", name, Targets)
		}
		if !slices.Contains(indices, i) {
			indices = append(indices, i)
		}
	}
	slices.Sort(indices)
	return indices, nil
}
