package lora

import "mllm4rec/pipeline/train/torch"

// layer is a Llama layer:
//
//	middle = x + W_o attention(rotate(W_q n), rotate(W_k n), W_v n)    n = RMSNorm(x)
//	out    = middle + W_down (silu(W_gate n) · W_up n)                 n = RMSNorm(middle)
//
// with adapters at any of the seven matrices. In the last layer keys and values are needed of every token, all else of the
// answers only; its matrices q and kv lie apart, those of the other layers as one.
type layer struct {
	model        *Model
	first, last  bool
	qkv          *weight // [(q | k | v), hidden]; in the last layer (k | v)
	q            *weight // the last layer's
	o            *weight // [hidden, q]
	gateUp       *weight // [(gate | up), hidden]
	down         *weight // [hidden, intermediate]
	norm1, norm2 []float32
	qBias        []float32 // nil: none, as the others
	kBias, vBias []float32
	outBias      []float32
	qNorm, kNorm []float32 // Qwen 3's norms of each head
	sites        [7]*site  // nil: not adapted
}

// activations are what a layer's backward pass needs of its forward pass, besides its input. Queries are all rows, in the last
// layer the answers.
type activations struct {
	qkv          *torch.Matrix // rotated, [rows, q+2·kv]; in the last layer [rows, 2·kv]
	q            *torch.Matrix // the last layer's, [queries, q]
	qRaw, kRaw   []float32     // before the norms of each head
	attended     *torch.Matrix // [queries, q]
	lse          []float32     // [queries, heads]
	middle       *torch.Matrix // [queries, hidden]
	gateUp       *torch.Matrix // [queries, 2·intermediate]
	rstd1, rstd2 []float32     // [rows], [queries]
	low          [7][]float32  // dropout(x) Aᵀ of each site, [rows or queries, rank]
}

// scratch is memory that the layers share.
type scratch struct {
	normed, gradNormed *torch.Matrix // [rows, hidden]
	inner, gradInner   *torch.Matrix // [rows, intermediate]
	gradAttended       *torch.Matrix // [rows, q]
	grad               *torch.Matrix // [rows, hidden], of the stream between layers
}

// projections are where a layer's queries, keys and values (or their gradients) lie.
type projections struct{ q, k, v view }

func (l *layer) projections(q, qkv *torch.Matrix) projections {
	m := l.model
	if l.last {
		return projections{columns(q, 0), columns(qkv, 0), columns(qkv, m.kvWidth)}
	}
	return projections{columns(qkv, 0), columns(qkv, m.qWidth), columns(qkv, m.qWidth+m.kvWidth)}
}

// forward makes out from x [rows, hidden]; out has all rows, in the last layer the answers only.
func (l *layer) forward(p *pass, x *torch.Matrix, a *activations, out *torch.Matrix) {
	l.activate(p, x, a)
	m, e, s := l.model, l.model.engine, l.model.every
	if l.last {
		s = m.few
	}
	swiglu(a.gateUp, s.inner)
	e.ProductPlus(out, a.middle, s.inner.N(), l.down.matrix().T())
	l.sites[downTarget].forward(columns(s.inner, 0), a.middle.Rows, p, a.low[downTarget], columns(out, 0))
}

// activate makes a from x, which is all but the last step to out.
func (l *layer) activate(p *pass, x *torch.Matrix, a *activations) {
	m, e := l.model, l.model.engine
	every, queries, residual, normed := m.every, m.every, x, m.every.normed
	rmsNorm(x, l.norm1, m.config.NormEpsilon, a.rstd1, every.normed)
	e.Product(a.qkv, every.normed.N(), l.qkv.matrix().T())
	if l.last {
		queries, residual, normed = m.few, m.few.gradNormed, m.few.normed
		gather(x, p.batch.answers, residual)
		gather(every.normed, p.batch.answers, normed)
		e.Product(a.q, normed.N(), l.q.matrix().T())
	}
	if e.Err() != nil {
		return
	}
	to := l.projections(a.q, a.qkv)
	l.sites[queryTarget].forward(columns(normed, 0), normed.Rows, p, a.low[queryTarget], to.q)
	l.sites[keyTarget].forward(columns(every.normed, 0), x.Rows, p, a.low[keyTarget], to.k)
	l.sites[valueTarget].forward(columns(every.normed, 0), x.Rows, p, a.low[valueTarget], to.v)
	l.prepare(p, a, to)
	m.note(attend(to.q, to.k, to.v, p.walk(l), m.heads, a.attended, a.lse))
	e.ProductPlus(a.middle, residual, a.attended.N(), l.o.matrix().T())
	l.sites[outTarget].forward(columns(a.attended, 0), a.attended.Rows, p, a.low[outTarget], columns(a.middle, 0))
	bias(columns(a.middle, 0), l.outBias, a.middle.Rows)
	l.feedForward(p, queries, a)
}

// bias adds b, where there is one.
func bias(x view, b []float32, rows int) {
	if b != nil {
		addBias(x, b, rows)
	}
}

// prepare adds biases, normalises heads and rotates.
func (l *layer) prepare(p *pass, a *activations, to projections) {
	m, h := l.model, l.model.heads
	queries, rows := p.walk(l).positions, p.batch.all.positions
	bias(to.q, l.qBias, len(queries))
	bias(to.k, l.kBias, len(rows))
	bias(to.v, l.vBias, len(rows))
	if l.qNorm != nil {
		headNorm(to.q, l.qNorm, m.config.NormEpsilon, len(queries), h.count, h.dim, a.qRaw)
		headNorm(to.k, l.kNorm, m.config.NormEpsilon, len(rows), h.kv, h.dim, a.kRaw)
	}
	rotate(to.q, queries, m.rotary, h.count, h.dim, 1)
	rotate(to.k, rows, m.rotary, h.kv, h.dim, 1)
}

// feedForward makes gate and up.
func (l *layer) feedForward(p *pass, s *scratch, a *activations) {
	m, e := l.model, l.model.engine
	rows, normed := a.middle.Rows, columns(s.normed, 0)
	rmsNorm(a.middle, l.norm2, m.config.NormEpsilon, a.rstd2, s.normed)
	e.Product(a.gateUp, s.normed.N(), l.gateUp.matrix().T())
	l.sites[gateTarget].forward(normed, rows, p, a.low[gateTarget], columns(a.gateUp, 0))
	l.sites[upTarget].forward(normed, rows, p, a.low[upTarget], columns(a.gateUp, m.config.Intermediate))
}

// below says whether anything before target needs a gradient: in the first layer adapted matrices only.
func (l *layer) below(target int) bool {
	for _, s := range l.sites[:target] {
		if s != nil {
			return true
		}
	}
	return !l.first
}

// backward turns the gradient of forward's out into that of x, in place in the scratch's grad; adapters' gradients are added
// to what is there. It spends a's activations.
func (l *layer) backward(p *pass, x *torch.Matrix, a *activations) {
	m, e := l.model, l.model.engine
	s := m.every
	if l.last {
		s = m.few
	}
	if !l.feedForwardBackward(p, s, a) {
		return
	}
	e.Product(s.gradAttended, s.grad.N(), l.o.matrix().N())
	l.sites[outTarget].backward(columns(a.attended, 0), a.attended.Rows, p, a.low[outTarget], columns(s.grad, 0), columns(s.gradAttended, 0))
	if !l.below(outTarget) || e.Err() != nil {
		return
	}
	l.attentionBackward(p, s, x, a)
}

// feedForwardBackward carries s.grad back to middle and reports whether to go on.
func (l *layer) feedForwardBackward(p *pass, s *scratch, a *activations) bool {
	m, e := l.model, l.model.engine
	rows, grad := s.grad.Rows, columns(s.grad, 0)
	e.Product(s.gradInner, s.grad.N(), l.down.matrix().N())
	if site := l.sites[downTarget]; site != nil {
		swiglu(a.gateUp, s.inner)
		site.backward(columns(s.inner, 0), rows, p, a.low[downTarget], grad, columns(s.gradInner, 0))
	}
	if !l.below(downTarget) || e.Err() != nil {
		return false
	}
	swigluBackward(a.gateUp, s.gradInner)
	e.Product(s.gradNormed, a.gateUp.N(), l.gateUp.matrix().N())
	if l.sites[gateTarget] != nil || l.sites[upTarget] != nil {
		rmsNorm(a.middle, l.norm2, m.config.NormEpsilon, a.rstd2, s.normed)
		normed, gradNormed := columns(s.normed, 0), columns(s.gradNormed, 0)
		l.sites[gateTarget].backward(normed, rows, p, a.low[gateTarget], columns(a.gateUp, 0), gradNormed)
		l.sites[upTarget].backward(normed, rows, p, a.low[upTarget], columns(a.gateUp, m.config.Intermediate), gradNormed)
	}
	if !l.below(gateTarget) {
		return false
	}
	rmsNormBackward(s.gradNormed, a.middle, l.norm2, a.rstd2, s.grad)
	return e.Err() == nil
}

// attentionBackward carries s.gradAttended, and s.grad along the residual, back to x.
func (l *layer) attentionBackward(p *pass, s *scratch, x *torch.Matrix, a *activations) {
	m, e, every := l.model, l.model.engine, l.model.every
	gradQ, gradQKV := m.gradQ, m.gradQKV
	if l.last {
		gradQKV = m.gradKV
	}
	at, grad := l.projections(a.q, a.qkv), l.projections(gradQ, gradQKV)
	m.note(attendBackward(at.q, at.k, at.v, p.walk(l), m.heads, a.attended, a.lse, s.gradAttended, grad.q, grad.k, grad.v, x.Rows))
	l.unprepare(p, a, grad)
	if !l.first {
		e.Product(every.gradNormed, gradQKV.N(), l.qkv.matrix().N())
		if l.last {
			e.Product(s.gradNormed, gradQ.N(), l.q.matrix().N())
		}
	}
	if e.Err() != nil {
		return
	}
	l.projectionSites(p, s, x, a, grad)
	if l.first {
		return
	}
	if l.last {
		scatter(s.gradNormed, p.batch.answers, every.gradNormed)
		every.grad.Zero()
		scatter(s.grad, p.batch.answers, every.grad)
	}
	rmsNormBackward(every.gradNormed, x, l.norm1, a.rstd1, every.grad)
}

// unprepare undoes prepare on gradients.
func (l *layer) unprepare(p *pass, a *activations, grad projections) {
	m, h := l.model, l.model.heads
	queries, rows := p.walk(l).positions, p.batch.all.positions
	rotate(grad.q, queries, m.rotary, h.count, h.dim, -1)
	rotate(grad.k, rows, m.rotary, h.kv, h.dim, -1)
	if l.qNorm != nil {
		headNormBackward(grad.q, a.qRaw, l.qNorm, m.config.NormEpsilon, len(queries), h.count, h.dim)
		headNormBackward(grad.k, a.kRaw, l.kNorm, m.config.NormEpsilon, len(rows), h.kv, h.dim)
	}
}

// projectionSites is the backward pass of the adapters at q, k and v.
func (l *layer) projectionSites(p *pass, s *scratch, x *torch.Matrix, a *activations, grad projections) {
	if l.sites[queryTarget] == nil && l.sites[keyTarget] == nil && l.sites[valueTarget] == nil {
		return
	}
	m, every := l.model, l.model.every
	rmsNorm(x, l.norm1, m.config.NormEpsilon, a.rstd1, every.normed)
	if l.last {
		gather(every.normed, p.batch.answers, s.normed)
	}
	var gradEvery, gradQueries view
	if !l.first {
		gradEvery, gradQueries = columns(every.gradNormed, 0), columns(s.gradNormed, 0)
	}
	rows := x.Rows
	l.sites[queryTarget].backward(columns(s.normed, 0), s.normed.Rows, p, a.low[queryTarget], grad.q, gradQueries)
	l.sites[keyTarget].backward(columns(every.normed, 0), rows, p, a.low[keyTarget], grad.k, gradEvery)
	l.sites[valueTarget].backward(columns(every.normed, 0), rows, p, a.low[valueTarget], grad.v, gradEvery)
}
