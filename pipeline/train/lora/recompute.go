package lora

import (
	"mllm4rec/internal/fail"
)

// share decides how many of the first layers share one set of activations, so that all fit into the bound: these layers are
// computed again in the backward pass, from their inputs, which are kept. The last one of them is not, since the forward pass
// leaves its activations there.
func (m *Model) share() (int, error) {
	limit, layers := m.settings.ActivationBytes, len(m.layers)
	if limit == 0 {
		return 0, nil
	}
	fixed := m.activationBytes(m.layers[layers-1]) + 4*int64(layers)*int64(m.settings.Rows)*int64(m.config.Hidden)
	var each int64
	if layers > 1 {
		each = m.activationBytes(m.layers[0])
	}
	if limit < fixed+each {
		return 0, fail.Usagef("activations: %d bytes are too few for micro-batches of %d tokens, which need %d at least; make them smaller",
			limit, m.settings.Rows, fixed+each)
	}
	sets := (limit - fixed) / max(each, 1)
	return layers - int(min(sets, int64(layers))), nil
}

// activationBytes is what the activations of a layer take.
func (m *Model) activationBytes(l *layer) int64 {
	var r room
	m.newActivations(&r, l)
	return r.bytes
}

// recalled are the activations of layer i for its backward pass.
func (m *Model) recalled(p *pass, i int) *activations {
	l, a := m.layers[i], m.activations[i]
	if i+1 >= m.sharing {
		return a
	}
	l.activate(p, m.inputs[i], a)
	if s := l.sites[downTarget]; s != nil { // its input is the one thing that activate leaves out
		swiglu(a.gateUp, m.every.inner)
		s.project(columns(m.every.inner, 0), a.middle.Rows, p, a.low[downTarget])
	}
	return a
}
