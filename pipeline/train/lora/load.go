package lora

import "fmt"

// newLayer takes memory for the weights of layer i and says what fills it.
func (m *Model) newLayer(i int) *layer {
	l := &layer{model: m, first: i == 0, last: i == m.config.Layers-1}
	if l.last {
		l.q = m.linear(i, queryTarget)
		l.qkv = m.linear(i, keyTarget, valueTarget)
	} else {
		l.qkv = m.linear(i, queryTarget, keyTarget, valueTarget)
	}
	l.o = m.linear(i, outTarget)
	l.gateUp = m.linear(i, gateTarget, upTarget)
	l.down = m.linear(i, downTarget)
	m.newVectors(l, i)
	return l
}

// linear is linear layers of one input, stacked.
func (m *Model) linear(layer int, targets ...int) *weight {
	_, in := m.shape(targets[0])
	w := m.newWeight(in)
	for _, target := range targets {
		out, _ := m.shape(target)
		m.stack(w, m.settings.Precision, siteName(layer, target)+".weight", out)
	}
	return w
}

// shape is that of a linear layer.
func (m *Model) shape(target int) (out, in int) {
	c := m.config
	in = []int{c.Hidden, c.Hidden, c.Hidden, m.qWidth, c.Hidden, c.Hidden, c.Intermediate}[target]
	out = []int{m.qWidth, m.kvWidth, m.kvWidth, c.Hidden, c.Intermediate, c.Intermediate, c.Hidden}[target]
	return out, in
}

// newVectors does the same for norms and biases.
func (m *Model) newVectors(l *layer, i int) {
	c := m.config
	vector := func(want bool, length int, part string) []float32 {
		if !want {
			return nil
		}
		return m.vector(fmt.Sprintf("model.layers.%d.%s", i, part), length)
	}
	l.norm1 = vector(true, c.Hidden, "input_layernorm.weight")
	l.norm2 = vector(true, c.Hidden, "post_attention_layernorm.weight")
	l.qBias = vector(c.QKVBias, m.qWidth, "self_attn.q_proj.bias")
	l.kBias = vector(c.QKVBias, m.kvWidth, "self_attn.k_proj.bias")
	l.vBias = vector(c.QKVBias, m.kvWidth, "self_attn.v_proj.bias")
	l.outBias = vector(c.OutBias, c.Hidden, "self_attn.o_proj.bias")
	l.qNorm = vector(c.QKNorm, c.HeadDim, "self_attn.q_norm.weight")
	l.kNorm = vector(c.QKNorm, c.HeadDim, "self_attn.k_norm.weight")
}

func (m *Model) vector(name string, length int) []float32 {
	values := m.memory.base.floats(length)
	m.expect(name, func(read []float32) { copy(values, read) }, int64(length))
	return values
}

// newHead takes memory for the rows of the output layer that the loss reads.
func (m *Model) newHead() *weight {
	w := m.newWeight(m.config.Hidden)
	if m.settings.Head != nil {
		w.out = len(m.settings.Head)
		return w
	}
	m.stack(w, m.headPrecision(), m.headName(), m.config.VocabSize)
	return w
}

// headPrecision is how the whole output layer is held.
func (m *Model) headPrecision() string {
	if m.settings.Precision == "fp32" {
		return "fp32"
	}
	return "bf16"
}
