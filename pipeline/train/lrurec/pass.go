package lrurec

import "mllm4rec/pipeline/train/torch"

// Batch is packed: sequence s has the inputs Items[Starts[s]:Starts[s+1]], each with the item that follows it as label.
// For validation Labels is empty.
type Batch struct {
	Items, Labels []int32
	Starts        []int32 // one more than sequences; the last is len(Items)
}

// stepDrops are all dropouts of one step.
type stepDrops struct {
	embed  torch.Dropout
	blocks []drops
}

// keepAll is no dropout: validation, and the tests against goldens.
func (m *Model) keepAll() stepDrops { return m.drops(0, 0, 0) }

// drops draws the dropouts from a key: rate for embedding and feed-forward, lruRate after the recurrences.
func (m *Model) drops(rate, lruRate float64, key uint64) stepDrops {
	d := stepDrops{embed: torch.NewDropout(rate, torch.Mix(key, 0)), blocks: make([]drops, m.Blocks)}
	for i := range d.blocks {
		site := func(k int) uint64 { return torch.Mix(key, uint64(1+3*i+k)) }
		d.blocks[i] = drops{lru: torch.NewDropout(lruRate, site(0)), inner: torch.NewDropout(rate, site(1)), outer: torch.NewDropout(rate, site(2))}
	}
	return d
}

// Forward returns the hidden states [positions, hidden] of a batch; they are the model's until the next call.
func (m *Model) forward(batch Batch, drop stepDrops) *torch.Matrix {
	m.setRows(len(batch.Items))
	if m.engine.Err() != nil {
		return m.input
	}
	embedNorm(m.table, batch.Items, drop.embed, m.embed, m.input)
	x := m.input
	for i, b := range m.blocks {
		b.forward(x, batch.Starts, drop.blocks[i])
		x = b.output
	}
	return x
}

// backward carries m.grad, the gradient of forward's result, to all dense gradients, and leaves that of the embedded items
// (before dropout) in m.grad. Gradients are overwritten, not added to.
func (m *Model) backward(batch Batch, drop stepDrops) {
	m.denseGrad.Zero()
	for i := len(m.blocks) - 1; i >= 0; i-- {
		x := m.input
		if i > 0 {
			x = m.blocks[i-1].output
		}
		m.blocks[i].backward(x, m.grad, batch.Starts, drop.blocks[i])
	}
	normBackward(m.grad, m.embed, drop.embed, m.grad, m.grad, nil)
}

func (m *Model) setRows(rows int) {
	for _, x := range []*torch.Matrix{m.input, m.branch, m.wide, m.grad, m.grad2} {
		x.SetRows(rows)
	}
	m.embed.setRows(rows)
	for _, b := range m.blocks {
		b.setRows(rows)
	}
}
