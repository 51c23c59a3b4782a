package lora

import "mllm4rec/pipeline/train/torch"

// run is a layer at work.
type run struct {
	*torch.Tape
	onDevice *onDevice
	index    int
	pass     *pass
	leaves   []leaf
}

// layer computes layer i of x [rows, hidden] and returns the adapters that it uses. What it computes is said at the type layer.
func (d *onDevice) layer(t *torch.Tape, i int, x torch.Tensor, p *pass) (out torch.Tensor, leaves []leaf) {
	r := &run{Tape: t, onDevice: d, index: i, pass: p}
	l, kind, epsilon := &d.layers[i], d.device.Kind(), d.model.config.NormEpsilon
	normed := t.To(t.RMSNorm(x, l.norm1, epsilon), kind)
	residual, queries, walk := x, normed, d.all
	if i == len(d.layers)-1 {
		residual, queries, walk = t.Rows(x, d.answers), t.Rows(normed, d.answers), d.last
	}
	attended := r.attention(queries, normed, walk)
	middle := t.Add(residual, t.To(r.linear(outTarget, attended, walk.queries), torch.Float32))
	normed = t.To(t.RMSNorm(middle, l.norm2, epsilon), kind)
	gate, up := r.linear(gateTarget, normed, walk.queries), r.linear(upTarget, normed, walk.queries)
	inner := t.Mul(t.Silu(gate), up)
	return t.Add(middle, t.To(r.linear(downTarget, inner, walk.queries), torch.Float32)), r.leaves
}

// attention is what the queries gather from all rows, [queries, heads·dim].
func (r *run) attention(queries, rows torch.Tensor, w deviceWalk) torch.Tensor {
	d, h := r.onDevice, r.onDevice.model.heads
	l, n := &d.layers[r.index], d.all.queries
	q := r.turned(r.heads(r.linear(queryTarget, queries, w.queries), w.queries, h.count, l.qNorm), w)
	k := r.turned(r.heads(r.linear(keyTarget, rows, n), n, h.kv, l.kNorm), d.all)
	v := r.heads(r.linear(valueTarget, rows, n), n, h.kv, torch.Tensor{})
	k, v = r.Swap(k, 0, 1), r.Swap(v, 0, 1)
	if group := h.count / h.kv; group > 1 {
		k, v = r.Repeat(k, group), r.Repeat(v, group)
	}
	attended := r.Attention(r.Swap(q, 0, 1), k, v, w.mask)
	return r.Reshape(r.Swap(attended, 0, 1), w.queries, h.count*h.dim)
}

// heads is x [rows, heads·dim] as [rows, heads, dim], each head normalised where there is a norm.
func (r *run) heads(x torch.Tensor, rows, heads int, norm torch.Tensor) torch.Tensor {
	m := r.onDevice.model
	x = r.Reshape(x, rows, heads, m.config.HeadDim)
	if norm.Exists() {
		x = r.To(r.RMSNorm(x, norm, m.config.NormEpsilon), r.onDevice.device.Kind())
	}
	return x
}

// turned gives x [rows, heads, dim] its rotary positions; element j pairs with j + dim/2.
func (r *run) turned(x torch.Tensor, w deviceWalk) torch.Tensor {
	half := r.onDevice.model.config.HeadDim / 2
	x = r.To(x, torch.Float32)
	a, b := r.Part(x, 2, 0, half), r.Part(x, 2, half, half)
	first := r.Sub(r.Mul(a, w.cosines), r.Mul(b, w.sines))
	second := r.Add(r.Mul(b, w.cosines), r.Mul(a, w.sines))
	return r.To(r.Join(2, first, second), r.onDevice.device.Kind())
}

// linear is a linear layer of x [rows, in] with its bias and its adapter.
func (r *run) linear(target int, x torch.Tensor, rows int) torch.Tensor {
	d := r.onDevice
	l, kind := &d.layers[r.index], d.device.Kind()
	y := r.Linear(x, r.unpacked(l.weights[target]))
	if bias := l.biases[target]; bias.Exists() {
		y = r.Add(y, bias)
	}
	s := d.model.layers[r.index].sites[target]
	if s == nil {
		return y
	}
	a, b := r.Learns(torch.Upload(r.Tape, s.a, s.rank, s.in)), r.Learns(torch.Upload(r.Tape, s.b, s.rank, s.out))
	r.leaves = append(r.leaves, leaf{s, a, b})
	low := r.Linear(r.dropped(x, s, rows), r.To(a, kind))
	return r.Add(y, r.Scale(r.MatMul(low, r.To(b, kind)), float64(s.scale)))
}

// unpacked is a weight; what it is made of is freed at once.
func (r *run) unpacked(w stored) torch.Tensor {
	t := r.Inner()
	defer t.Close()
	return t.Move(w.unpack(t), r.Tape)
}

// dropped is x with the elements dropped that the kernels on the host drop too.
func (r *run) dropped(x torch.Tensor, s *site, rows int) torch.Tensor {
	drop := r.pass.dropout(s)
	if drop.Threshold == 0 {
		return x
	}
	mask := make([]float32, rows*s.in)
	for i := range mask {
		mask[i] = 1
	}
	drop.Apply(mask)
	return r.Mul(x, r.To(torch.Upload(r.Tape, mask, rows, s.in), r.onDevice.device.Kind()))
}
