package lora

import "mllm4rec/pipeline/train/torch"

// allocate makes room for the activations of a micro-batch.
func (m *Model) allocate() {
	c, rows, answers := m.config, m.settings.Rows, m.settings.Answers
	for range m.layers {
		m.inputs = append(m.inputs, m.scratch(rows, c.Hidden))
	}
	for _, l := range m.layers {
		m.activations = append(m.activations, m.newActivations(l))
	}
	m.every, m.few = m.newScratch(rows), m.newScratch(answers)
	m.output, m.final, m.logits = m.scratch(answers, c.Hidden), m.scratch(answers, c.Hidden), m.scratch(answers, m.head.out)
	m.finalRstd = make([]float32, answers)
	m.gradQKV = m.scratch(rows, m.qWidth+2*m.kvWidth)
	m.gradQ, m.gradKV = m.scratch(answers, m.qWidth), m.scratch(rows, 2*m.kvWidth)
	m.rankScratch = make([]float32, max(rows, answers)*m.settings.Rank)
}

func (m *Model) newActivations(l *layer) *activations {
	c, rows := m.config, m.settings.Rows
	queries, a := rows, &activations{}
	if l.last {
		queries = m.settings.Answers
		a.q, a.qkv = m.scratch(queries, m.qWidth), m.scratch(rows, 2*m.kvWidth)
	} else {
		a.qkv = m.scratch(rows, m.qWidth+2*m.kvWidth)
	}
	a.attended, a.middle, a.gateUp = m.scratch(queries, m.qWidth), m.scratch(queries, c.Hidden), m.scratch(queries, 2*c.Intermediate)
	a.rstd1, a.rstd2, a.lse = make([]float32, rows), make([]float32, queries), make([]float32, queries*c.Heads)
	if l.qNorm != nil {
		a.qRaw, a.kRaw = make([]float32, queries*m.qWidth), make([]float32, rows*m.kvWidth)
	}
	for target, s := range l.sites {
		if s != nil {
			a.low[target] = make([]float32, rows*s.rank)
		}
	}
	return a
}

func (m *Model) newScratch(rows int) *scratch {
	c := m.config
	return &scratch{
		normed: m.scratch(rows, c.Hidden), gradNormed: m.scratch(rows, c.Hidden), grad: m.scratch(rows, c.Hidden),
		inner: m.scratch(rows, c.Intermediate), gradInner: m.scratch(rows, c.Intermediate), gradAttended: m.scratch(rows, m.qWidth),
	}
}

// setRows makes all activations as long as a micro-batch.
func (m *Model) setRows(rows, answers int) {
	set := func(n int, matrices ...*torch.Matrix) {
		for _, x := range matrices {
			if x != nil {
				x.SetRows(n)
			}
		}
	}
	set(rows, m.inputs...)
	set(rows, m.gradQKV, m.gradKV)
	set(answers, m.output, m.final, m.logits, m.gradQ)
	for i, a := range m.activations {
		queries := rows
		if m.layers[i].last {
			queries = answers
		}
		set(rows, a.qkv)
		set(queries, a.q, a.attended, a.middle, a.gateUp)
	}
	for s, n := range map[*scratch]int{m.every: rows, m.few: answers} {
		set(n, s.normed, s.gradNormed, s.grad, s.inner, s.gradInner, s.gradAttended)
	}
}
