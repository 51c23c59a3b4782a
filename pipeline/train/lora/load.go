package lora

import "fmt"

// loadLayer reads the weights of layer i.
func (m *Model) loadLayer(i int) (*layer, error) {
	c := m.config
	l := &layer{model: m, first: i == 0, last: i == c.Layers-1}
	name := func(part string) string { return fmt.Sprintf("model.layers.%d.%s.weight", i, part) }
	var err error
	read := func(out, in int, parts ...string) *weight {
		var names []string
		for _, part := range parts {
			names = append(names, name(part))
		}
		var w *weight
		if err == nil {
			w, err = m.loadWeight(m.source, out, in, names...)
		}
		return w
	}
	if l.last {
		l.q = read(m.qWidth, c.Hidden, "self_attn.q_proj")
		l.qkv = read(2*m.kvWidth, c.Hidden, "self_attn.k_proj", "self_attn.v_proj")
	} else {
		l.qkv = read(m.qWidth+2*m.kvWidth, c.Hidden, "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
	}
	l.o = read(c.Hidden, m.qWidth, "self_attn.o_proj")
	l.gateUp = read(2*c.Intermediate, c.Hidden, "mlp.gate_proj", "mlp.up_proj")
	l.down = read(c.Hidden, c.Intermediate, "mlp.down_proj")
	if err != nil {
		return nil, err
	}
	return l, m.loadVectors(l, i)
}

// loadVectors reads norms and biases.
func (m *Model) loadVectors(l *layer, i int) (err error) {
	c := m.config
	read := func(want bool, length int, part string) []float32 {
		var values []float32
		if want && err == nil {
			values, err = loadVector(m.source, fmt.Sprintf("model.layers.%d.%s", i, part), length)
		}
		return values
	}
	l.norm1 = read(true, c.Hidden, "input_layernorm.weight")
	l.norm2 = read(true, c.Hidden, "post_attention_layernorm.weight")
	l.qBias = read(c.QKVBias, m.qWidth, "self_attn.q_proj.bias")
	l.kBias = read(c.QKVBias, m.kvWidth, "self_attn.k_proj.bias")
	l.vBias = read(c.QKVBias, m.kvWidth, "self_attn.v_proj.bias")
	l.outBias = read(c.OutBias, c.Hidden, "self_attn.o_proj.bias")
	l.qNorm = read(c.QKNorm, c.HeadDim, "self_attn.q_norm.weight")
	l.kNorm = read(c.QKNorm, c.HeadDim, "self_attn.k_norm.weight")
	return err
}
