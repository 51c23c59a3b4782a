package lrurec

import "mllm4rec/pipeline/train/torch"

// chunkFloats bounds the logits that exist at once: small enough to stay in the processor's cache.
const chunkFloats = 1 << 19

// softmax is the cross-entropy over the whole catalogue (padding's item 0 takes part, as in the paper's code). Positions
// go through in chunks, forward and backward at once: [positions, items] never exists whole.
type softmax struct {
	model     *Model
	logits    *torch.Matrix // [chunk, items+1], then their gradient
	tableGrad *torch.Matrix // [items+1, hidden]
	biasGrad  []float32     // [items+1]
	biasParts []float32     // [threads, items+1]
}

func newSoftmax(m *Model) *softmax {
	items := m.Items + 1
	s := &softmax{model: m, biasGrad: make([]float32, items), biasParts: make([]float32, m.engine.Threads()*items)}
	s.logits = m.scratch(max(1, chunkFloats/items), items)
	s.tableGrad = m.scratch(items, m.Hidden)
	return s
}

// step is the mean cross-entropy. It needs no key: nothing is drawn.
func (s *softmax) step(hidden *torch.Matrix, batch Batch, _ uint64) float64 {
	m := s.model
	clear(s.biasParts)
	s.tableGrad.Zero()
	rows, most := hidden.Rows, max(1, chunkFloats/(m.Items+1))
	chunks := (rows + most - 1) / most
	var sum float64
	for c := range chunks {
		from, to := rows*c/chunks, rows*(c+1)/chunks
		sum += s.chunk(hidden, batch.Labels, from, to)
	}
	clear(s.biasGrad)
	for i, g := range s.biasParts {
		s.biasGrad[i%len(s.biasGrad)] += g
	}
	return sum / float64(rows)
}

func (s *softmax) chunk(hidden *torch.Matrix, labels []int32, from, to int) float64 {
	m, e := s.model, s.model.engine
	h := hidden.Slice(from*m.Hidden, to-from, m.Hidden)
	grad := m.grad.Slice(from*m.Hidden, to-from, m.Hidden)
	defer h.Free()
	defer grad.Free()
	s.logits.SetRows(to - from)
	e.Product(s.logits, h.N(), m.table.T())
	if e.Err() != nil {
		return 0
	}
	sum := softmaxLoss(s.logits, labels[from:to], m.itemBias, 1/float64(hidden.Rows), s.biasParts)
	e.Product(grad, s.logits.N(), m.table.N())
	e.AddProduct(s.tableGrad, s.logits.T(), h.N())
	return sum
}

func (s *softmax) embedded(batch Batch) { addRows(s.model.grad, batch.Items, s.tableGrad) }

func (s *softmax) squares() float64 {
	return torch.SumOfSquares(s.tableGrad.Data) + torch.SumOfSquares(s.biasGrad)
}

func (s *softmax) update(o torch.AdamW, moments *moments) {
	m := s.model
	o.Update(m.table.Data, s.tableGrad.Data, moments.table[0], moments.table[1], true)
	o.Update(m.itemBias, s.biasGrad, moments.bias[0], moments.bias[1], false)
}
