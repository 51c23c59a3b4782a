// Package lrurec trains LRURec (arXiv 2310.02367): a stack of linear recurrent units over a user's items, scored against
// the item embeddings. Sequences come in as sequences.parquet, the best weights go out as retriever.safetensors.
//
// A batch is packed: the real positions of its sequences lie row after row, padding does not exist. That is exact, because
// the model's left padding contributes nothing to real positions and no loss is taken there. The backward pass is written
// here, next to the forward pass it undoes; matrix products are libtorch's, the rest are fused kernels (kernels.c).
package lrurec

import (
	"fmt"
	"math"
	"math/rand/v2"

	"mllm4rec/pipeline/train/torch"
)

// Shape is the size of a model.
type Shape struct {
	Items    int // of the catalogue; ids are 1 … Items, row 0 of the embedding is padding's
	Hidden   int
	Channels int // complex, of a recurrence
	Blocks   int
}

// Model holds weights, gradients and the activations of one batch. It belongs to its engine's goroutine.
type Model struct {
	Shape
	engine *torch.Engine
	// table [items+1, hidden] is embedding and output layer in one; itemBias is added to the scores. Their gradients live
	// with the loss, which knows whether they are dense.
	table    *torch.Matrix
	itemBias []float32
	// dense holds all other weights in one run: those with weight decay first, denseDecayed of them.
	dense, denseGrad *torch.Matrix
	denseDecayed     int
	parameters       []*parameter
	slices           []*torch.Matrix

	embed  *norm
	input  *torch.Matrix // [rows, hidden], after the embedding's norm
	blocks []*block
	branch *torch.Matrix // [rows, hidden], what a residual adds
	wide   *torch.Matrix // [rows, 4·hidden], a gradient inside a feed-forward network
	grad   *torch.Matrix // [rows, hidden], of the stream between blocks
	grad2  *torch.Matrix
}

// norm is a LayerNorm (epsilon 1e-5) with what its backward pass needs.
type norm struct {
	weight, bias, gradWeight, gradBias []float32
	normal                             *torch.Matrix // [rows, hidden] normalised input
	rstd                               *torch.Matrix // [rows, 1] 1/deviation
}

// NewModel allocates a model for batches of up to rows positions; weights are zero until Initialise or Import.
func NewModel(engine *torch.Engine, shape Shape, rows int) *Model {
	m := &Model{Shape: shape, engine: engine}
	m.table = engine.NewMatrix(shape.Items+1, shape.Hidden)
	m.itemBias = make([]float32, shape.Items+1)
	m.declare()
	m.allocate(rows)
	return m
}

// declare lists the parameters, gives them their memory, and builds the layers on it.
func (m *Model) declare() {
	d, c := int64(m.Hidden), int64(m.Channels)
	add := func(name string, layout layout, decayed bool, shape ...int64) {
		m.parameters = append(m.parameters, &parameter{name: name, shape: shape, layout: layout, decayed: decayed})
	}
	for i := range m.Blocks {
		lru, ffn := fmt.Sprintf("model.lru_blocks.%d.lru_layer.", i), fmt.Sprintf("model.lru_blocks.%d.feed_forward.", i)
		add(lru+"params_log", plain, true, 3, c)
		add(lru+"in_proj.weight", planes, true, c, d, 2)
		add(lru+"out_proj.weight", conjugate, true, d, c, 2)
		add(ffn+"w_1.weight", plain, true, 4*d, d)
		add(ffn+"w_2.weight", plain, true, d, 4*d)
	}
	for i := range m.Blocks {
		lru, ffn := fmt.Sprintf("model.lru_blocks.%d.lru_layer.", i), fmt.Sprintf("model.lru_blocks.%d.feed_forward.", i)
		add(lru+"in_proj.bias", planes, false, c, 2)
		add(lru+"out_proj.bias", planes, false, d, 2)
		add(lru+"layer_norm.weight", plain, false, d)
		add(lru+"layer_norm.bias", plain, false, d)
		add(ffn+"w_1.bias", plain, false, 4*d)
		add(ffn+"w_2.bias", plain, false, d)
		add(ffn+"layer_norm.weight", plain, false, d)
		add(ffn+"layer_norm.bias", plain, false, d)
	}
	add("embedding.layer_norm.weight", plain, false, d)
	add("embedding.layer_norm.bias", plain, false, d)
	m.place()
}

// place lays the parameters out, each at a multiple of 16 floats (a cache line, which libtorch's kernels like).
func (m *Model) place() {
	const line = 16
	total := 0
	offsets := make([]int, len(m.parameters))
	for i, p := range m.parameters {
		offsets[i] = total
		total += (p.size() + line - 1) / line * line
		if p.decayed {
			m.denseDecayed = total
		}
	}
	m.dense, m.denseGrad = m.engine.NewMatrix(1, total), m.engine.NewMatrix(1, total)
	if m.engine.Err() != nil {
		return
	}
	for i, p := range m.parameters {
		p.value, p.grad = m.dense.Data[offsets[i]:][:p.size()], m.denseGrad.Data[offsets[i]:][:p.size()]
	}
}

// find is the parameter of that name, which declare has listed.
func (m *Model) find(name string) *parameter {
	for _, p := range m.parameters {
		if p.name == name {
			return p
		}
	}
	return &parameter{name: name}
}

// matrices are a parameter and its gradient as matrices.
func (m *Model) matrices(name string, rows, cols int) (value, grad *torch.Matrix) {
	p := m.find(name)
	if m.engine.Err() != nil {
		return &torch.Matrix{}, &torch.Matrix{}
	}
	offset := offsetIn(m.dense.Data, p.value)
	value, grad = m.dense.Slice(offset, rows, cols), m.denseGrad.Slice(offset, rows, cols)
	m.slices = append(m.slices, value, grad)
	return value, grad
}

// offsetIn is where part, a slice of whole, begins.
func offsetIn(whole, part []float32) int { return cap(whole) - cap(part) }

func (m *Model) norm(name string, rows int) *norm {
	weight, bias := m.find(name+".weight"), m.find(name+".bias")
	return &norm{
		weight: weight.value, bias: bias.value, gradWeight: weight.grad, gradBias: bias.grad,
		normal: m.scratch(rows, m.Hidden), rstd: m.scratch(rows, 1),
	}
}

// scratch is a matrix that Close frees.
func (m *Model) scratch(rows, cols int) *torch.Matrix {
	s := m.engine.NewMatrix(rows, cols)
	m.slices = append(m.slices, s)
	return s
}

// allocate makes the layers and room for the activations of rows positions.
func (m *Model) allocate(rows int) {
	m.embed = m.norm("embedding.layer_norm", rows)
	m.input = m.scratch(rows, m.Hidden)
	for i := range m.Blocks {
		m.blocks = append(m.blocks, m.newBlock(i, rows))
	}
	m.branch, m.wide = m.scratch(rows, m.Hidden), m.scratch(rows, 4*m.Hidden)
	m.grad, m.grad2 = m.scratch(rows, m.Hidden), m.scratch(rows, m.Hidden)
}

// Close frees everything.
func (m *Model) Close() {
	for i := len(m.slices) - 1; i >= 0; i-- {
		m.slices[i].Free()
	}
	m.table.Free()
	m.dense.Free()
	m.denseGrad.Free()
}

// Initialise draws weights as the paper's code does: truncated normal (deviation 0.02, cut at two deviations) for all but
// layer norms, and |λ| uniform over the ring between rMin and rMax with γ = √(1-|λ|²).
func (m *Model) Initialise(seed uint64, rMin, rMax float64) {
	random := rand.New(rand.NewPCG(seed, 1))
	truncatedNormal(random, m.table.Data)
	truncatedNormal(random, m.itemBias)
	for _, p := range m.parameters {
		truncatedNormal(random, p.value)
	}
	m.embed.reset()
	for _, b := range m.blocks {
		b.lruNorm.reset()
		b.ffnNorm.reset()
		ring(random, b.logs.value, rMin, rMax)
	}
}

func (n *norm) reset() {
	for i := range n.weight {
		n.weight[i], n.bias[i] = 1, 0
	}
}

func truncatedNormal(random *rand.Rand, values []float32) {
	const deviation = 0.02
	bound := math.Erf(2 / math.Sqrt2)
	for i := range values {
		values[i] = float32(deviation * math.Sqrt2 * math.Erfinv((2*random.Float64()-1)*bound))
	}
}

// ring fills logs [3, channels] (ν, θ, γ).
func ring(random *rand.Rand, logs []float32, rMin, rMax float64) {
	channels := len(logs) / 3
	for c := range channels {
		square := rMin*rMin + (1-random.Float64())*(rMax*rMax-rMin*rMin)
		logs[c] = float32(math.Log(-0.5 * math.Log(square)))
		logs[channels+c] = float32(math.Log(2 * math.Pi * (1 - random.Float64())))
		logs[2*channels+c] = float32(0.5 * math.Log(1-square))
	}
}
