package lrurec

import (
	"math"
	"math/rand/v2"

	"mllm4rec/pipeline/train/torch"
	"mllm4rec/pipeline/worker"
)

// sampled is a loss over a few negatives that all positions of a batch share. What it touches of the table (inputs, labels,
// negatives) gets a compact gradient and a lazy update, so that a step's time and memory do not depend on the catalogue.
//
// Sampled softmax estimates the full one: a negative's score less the logarithm of how often it is expected in the sample
// stands for all items like it; the label is in the sum once and is not corrected. gBCE follows arXiv 2308.07192.
type sampled struct {
	model   *Model
	sampler *sampler
	beta    float64 // gBCE's power; 0 means sampled softmax

	negatives []int32
	offsets   []float32     // [k], bias and correction of each negative
	logits    *torch.Matrix // [rows, k]
	rows      *torch.Matrix // [k, hidden], the negatives' embeddings
	rowsGrad  *torch.Matrix
	label     []float32 // [rows], scores then gradients

	touched   []int32 // items, each once
	slotOf    []int32 // [items+1]: item i is touched if touched[slotOf[i]] == i
	slots     []int32 // scratch: slots of a list of items
	tableGrad *torch.Matrix
	biasGrad  []float32
}

func newSampled(m *Model, spec worker.RetrieverSpec, sampler *sampler, rows int) *sampled {
	k := spec.Negatives
	s := &sampled{
		model: m, sampler: sampler, negatives: make([]int32, k), offsets: make([]float32, k),
		logits: m.scratch(rows, k), rows: m.scratch(k, m.Hidden), rowsGrad: m.scratch(k, m.Hidden),
		label: make([]float32, rows), slotOf: make([]int32, m.Items+1), slots: make([]int32, max(rows, k)),
		tableGrad: m.scratch(2*rows+k, m.Hidden), biasGrad: make([]float32, 2*rows+k),
	}
	if spec.Loss == "gbce" {
		rate := float64(k) / float64(m.Items-1)
		s.beta = rate * (spec.GBCECalibration*(1-1/rate) + 1/rate)
	}
	return s
}

// step draws the negatives of this key and returns the mean loss.
func (s *sampled) step(hidden *torch.Matrix, batch Batch, key uint64) float64 {
	s.draw(key)
	s.touch(batch)
	m, e, rows := s.model, s.model.engine, hidden.Rows
	label := s.label[:rows]
	labelScores(hidden, m.table, m.itemBias, batch.Labels, label)
	s.logits.SetRows(rows)
	e.Product(s.logits, hidden.N(), s.rows.T())
	if e.Err() != nil {
		return math.NaN()
	}
	loss := s.rowLosses(batch.Labels, label)
	e.Product(m.grad, s.logits.N(), s.rows.N())
	e.Product(s.rowsGrad, s.logits.T(), hidden.N())
	addRows(s.rowsGrad, s.slotsOf(s.negatives), s.tableGrad)
	s.addBiasGrads()
	labelBackward(hidden, m.table, batch.Labels, s.slotsOf(batch.Labels), label, m.grad, s.tableGrad, s.biasGrad)
	return loss / float64(rows)
}

// rowLosses turns scores into gradients and sums the loss. gBCE is the mean over label and negatives.
func (s *sampled) rowLosses(labels []int32, label []float32) float64 {
	scale := 1 / float64(len(labels))
	if s.beta == 0 {
		return sampledSoftmax(s.logits, label, labels, s.negatives, s.offsets, scale)
	}
	each := 1 / float64(len(s.negatives)+1)
	return each * gbce(s.logits, label, labels, s.negatives, s.offsets, scale*each, s.beta)
}

// draw fills negatives, their embeddings and what is added to their scores.
func (s *sampled) draw(key uint64) {
	random := rand.New(rand.NewPCG(key, 2))
	m, k := s.model, float64(len(s.negatives))
	for i := range s.negatives {
		item := s.sampler.draw(random)
		s.negatives[i] = item
		copy(s.rows.Data[i*m.Hidden:(i+1)*m.Hidden], m.table.Data[int(item)*m.Hidden:])
		s.offsets[i] = m.itemBias[item]
		if s.beta == 0 {
			s.offsets[i] -= float32(math.Log(k * s.sampler.probability(item)))
		}
	}
}

// touch lists the items of the step and clears their gradients.
func (s *sampled) touch(batch Batch) {
	s.touched = s.touched[:0]
	for _, list := range [][]int32{batch.Items, batch.Labels, s.negatives} {
		for _, item := range list {
			if at := int(s.slotOf[item]); at >= len(s.touched) || s.touched[at] != item {
				s.slotOf[item] = int32(len(s.touched))
				s.touched = append(s.touched, item)
			}
		}
	}
	s.tableGrad.SetRows(len(s.touched))
	s.tableGrad.Zero()
	clear(s.biasGrad[:len(s.touched)])
}

// slotsOf are the slots of touched items; the result is good until the next call.
func (s *sampled) slotsOf(items []int32) []int32 {
	for i, item := range items {
		s.slots[i] = s.slotOf[item]
	}
	return s.slots[:len(items)]
}

// addBiasGrads adds the column sums of the negatives' gradients.
func (s *sampled) addBiasGrads() {
	clear(s.offsets)
	columnSums(s.logits, s.offsets)
	for i, item := range s.negatives {
		s.biasGrad[s.slotOf[item]] += s.offsets[i]
	}
}

func (s *sampled) embedded(batch Batch) { addRows(s.model.grad, s.slotsOf(batch.Items), s.tableGrad) }

func (s *sampled) squares() float64 {
	return torch.SumOfSquares(s.tableGrad.Data) + torch.SumOfSquares(s.biasGrad[:len(s.touched)])
}

func (s *sampled) update(o torch.AdamW, moments *moments) {
	m := s.model
	o.UpdateRows(m.table.Data, s.tableGrad.Data, moments.table[0], moments.table[1], moments.last, s.touched, m.Hidden, true)
	o.UpdateRows(m.itemBias, s.biasGrad, moments.bias[0], moments.bias[1], moments.lastBias, s.touched, 1, false)
}
