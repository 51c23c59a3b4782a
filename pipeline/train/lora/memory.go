package lora

import "mllm4rec/pipeline/train/torch"

// memory is a model's, by what it is for.
type memory struct{ base, adapters, activations, scratch room }

func newMemory(engine *torch.Engine) memory {
	return memory{
		base: room{engine: engine}, adapters: room{engine: engine},
		activations: room{engine: engine, scratch: true}, scratch: room{engine: engine, scratch: true},
	}
}

func (m *memory) free() {
	for _, r := range []*room{&m.base, &m.adapters, &m.activations, &m.scratch} {
		r.free()
	}
}

// allocate makes room for a micro-batch.
func (m *Model) allocate() (err error) {
	if m.sharing, err = m.share(); err != nil {
		return err
	}
	c, rows, answers, kept, s := m.config, m.settings.Rows, m.settings.Answers, &m.memory.activations, &m.memory.scratch
	for i, l := range m.layers {
		m.inputs = append(m.inputs, kept.matrix(rows, c.Hidden))
		if 0 < i && i < m.sharing {
			m.activations = append(m.activations, m.activations[0])
		} else {
			m.activations = append(m.activations, m.newActivations(kept, l))
		}
	}
	m.every, m.few = m.newScratch(rows), m.newScratch(answers)
	m.output, m.final, m.logits = s.matrix(answers, c.Hidden), s.matrix(answers, c.Hidden), s.matrix(answers, m.head.out)
	m.finalRstd = s.floats(answers)
	m.gradQKV = s.matrix(rows, m.qWidth+2*m.kvWidth)
	m.gradQ, m.gradKV = s.matrix(answers, m.qWidth), s.matrix(rows, 2*m.kvWidth)
	m.rankScratch = s.floats(max(rows, answers) * m.settings.Rank)
	return nil
}

func (m *Model) newActivations(r *room, l *layer) *activations {
	c, rows := m.config, m.settings.Rows
	queries, a := rows, &activations{}
	if l.last {
		queries = m.settings.Answers
		a.q, a.qkv = r.matrix(queries, m.qWidth), r.matrix(rows, 2*m.kvWidth)
	} else {
		a.qkv = r.matrix(rows, m.qWidth+2*m.kvWidth)
	}
	a.attended, a.middle, a.gateUp = r.matrix(queries, m.qWidth), r.matrix(queries, c.Hidden), r.matrix(queries, 2*c.Intermediate)
	a.rstd1, a.rstd2, a.lse = r.floats(rows), r.floats(queries), r.floats(queries*c.Heads)
	if c.QKNorm {
		a.qRaw, a.kRaw = r.floats(queries*m.qWidth), r.floats(rows*m.kvWidth)
	}
	for target, s := range l.sites {
		if s != nil {
			a.low[target] = r.floats(rows * s.rank)
		}
	}
	return a
}

func (m *Model) newScratch(rows int) *scratch {
	c, s := m.config, &m.memory.scratch
	return &scratch{
		normed: s.matrix(rows, c.Hidden), gradNormed: s.matrix(rows, c.Hidden), grad: s.matrix(rows, c.Hidden),
		inner: s.matrix(rows, c.Intermediate), gradInner: s.matrix(rows, c.Intermediate), gradAttended: s.matrix(rows, m.qWidth),
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
	set(answers, m.logits)
	if m.device != nil {
		return
	}
	set(rows, m.inputs...)
	set(rows, m.gradQKV, m.gradKV)
	set(answers, m.output, m.final, m.gradQ)
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
