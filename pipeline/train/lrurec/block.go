package lrurec

import (
	"fmt"
	"math"

	"mllm4rec/pipeline/train/torch"
)

// block is a linear recurrence and a feed-forward network, each with a residual and a LayerNorm after it:
//
//	h_t = λ h_{t-1} + γ (W_in x_t + b_in)        complex, [channels]
//	z   = LayerNorm(x + dropout(Re(W_out h + b_out)))
//	out = LayerNorm(z + dropout(W_2 dropout(GELU(W_1 z + b_1)) + b_2))
//
// γ is folded into the weights, so that the recurrence needs λ alone.
type block struct {
	model *Model
	logs  *parameter // [3, channels]: ν, θ, γ as logarithms

	in, inGrad         *torch.Matrix // [2·channels, hidden]
	inBias             *parameter    // [2·channels]
	scaled, scaledGrad *torch.Matrix // γ W_in
	scaledBias         *torch.Matrix // [1, 2·channels] γ b_in
	scaledBiasGrad     []float32
	lambda, lambdaGrad []float32     // [2·channels]
	out, outGrad       *torch.Matrix // [hidden, 2·channels]
	outBias            *torch.Matrix // [1, hidden], the real part
	outBiasGrad        []float32
	w1, w1Grad, b1     *torch.Matrix // [4·hidden, hidden], [1, 4·hidden]
	w2, w2Grad, b2     *torch.Matrix // [hidden, 4·hidden], [1, hidden]
	b1Grad, b2Grad     []float32
	lruNorm, ffnNorm   *norm

	h      *torch.Matrix // [rows, 2·channels] states
	z      *torch.Matrix // [rows, hidden]
	before *torch.Matrix // [rows, 4·hidden] before GELU
	after  *torch.Matrix // [rows, 4·hidden] after GELU and dropout
	output *torch.Matrix // [rows, hidden]
	hGrad  *torch.Matrix // [rows, 2·channels]
}

// drops are the dropouts of a block in one step.
type drops struct{ lru, inner, outer torch.Dropout }

func (m *Model) newBlock(i, rows int) *block {
	d, c := m.Hidden, m.Channels
	lru, ffn := fmt.Sprintf("model.lru_blocks.%d.lru_layer.", i), fmt.Sprintf("model.lru_blocks.%d.feed_forward.", i)
	b := &block{model: m, logs: m.find(lru + "params_log"), inBias: m.find(lru + "in_proj.bias")}
	b.in, b.inGrad = m.matrices(lru+"in_proj.weight", 2*c, d)
	b.out, b.outGrad = m.matrices(lru+"out_proj.weight", d, 2*c)
	b.w1, b.w1Grad = m.matrices(ffn+"w_1.weight", 4*d, d)
	b.w2, b.w2Grad = m.matrices(ffn+"w_2.weight", d, 4*d)
	var grad *torch.Matrix
	b.outBias, grad = m.matrices(lru+"out_proj.bias", 1, d)
	b.outBiasGrad = grad.Data
	b.b1, grad = m.matrices(ffn+"w_1.bias", 1, 4*d)
	b.b1Grad = grad.Data
	b.b2, grad = m.matrices(ffn+"w_2.bias", 1, d)
	b.b2Grad = grad.Data
	b.scaled, b.scaledGrad, b.scaledBias = m.scratch(2*c, d), m.scratch(2*c, d), m.scratch(1, 2*c)
	b.scaledBiasGrad, b.lambda, b.lambdaGrad = make([]float32, 2*c), make([]float32, 2*c), make([]float32, 2*c)
	b.lruNorm, b.ffnNorm = m.norm(lru+"layer_norm", rows), m.norm(ffn+"layer_norm", rows)
	b.h, b.hGrad, b.z = m.scratch(rows, 2*c), m.scratch(rows, 2*c), m.scratch(rows, d)
	b.before, b.after, b.output = m.scratch(rows, 4*d), m.scratch(rows, 4*d), m.scratch(rows, d)
	return b
}

// setRows makes all activations that long.
func (b *block) setRows(rows int) {
	for _, x := range []*torch.Matrix{b.h, b.hGrad, b.z, b.before, b.after, b.output} {
		x.SetRows(rows)
	}
	b.lruNorm.setRows(rows)
	b.ffnNorm.setRows(rows)
}

func (n *norm) setRows(rows int) {
	n.normal.SetRows(rows)
	n.rstd.SetRows(rows)
}

// prepare computes λ = exp(-exp(ν) + i exp(θ)) and the weights scaled by γ from the parameters.
func (b *block) prepare() {
	c, d := len(b.lambda)/2, b.in.Cols
	for k := range c {
		radius := math.Exp(-math.Exp(float64(b.logs.value[k])))
		sin, cos := math.Sincos(math.Exp(float64(b.logs.value[c+k])))
		b.lambda[k], b.lambda[c+k] = float32(radius*cos), float32(radius*sin)
	}
	for r := range 2 * c {
		gamma := float32(math.Exp(float64(b.logs.value[2*c+r%c])))
		b.scaledBias.Data[r] = gamma * b.inBias.value[r]
		from, to := b.in.Data[r*d:(r+1)*d], b.scaled.Data[r*d:(r+1)*d]
		for j, w := range from {
			to[j] = gamma * w
		}
	}
}

// forward makes b.output from x [rows, hidden].
func (b *block) forward(x *torch.Matrix, starts []int32, drop drops) {
	e, branch := b.model.engine, b.model.branch
	b.prepare()
	e.Affine(b.h, x.N(), b.scaled.T(), b.scaledBias)
	scan(b.h, starts, b.lambda)
	e.Affine(branch, b.h.N(), b.out.T(), b.outBias)
	residualNorm(branch, x, drop.lru, b.lruNorm, b.z)

	e.Affine(b.before, b.z.N(), b.w1.T(), b.b1)
	e.GELU(b.after, b.before)
	drop.inner.Apply(b.after.Data)
	e.Affine(branch, b.after.N(), b.w2.T(), b.b2)
	residualNorm(branch, b.z, drop.outer, b.ffnNorm, b.output)
}

// backward turns grad, that of b.output, into that of x, in place.
func (b *block) backward(x, grad *torch.Matrix, starts []int32, drop drops) {
	e, branch, wide, zGrad := b.model.engine, b.model.branch, b.model.wide, b.model.grad2
	normBackward(grad, b.ffnNorm, drop.outer, zGrad, branch, b.b2Grad)
	e.Product(b.w2Grad, branch.T(), b.after.N())
	e.Product(wide, branch.N(), b.w2.N())
	drop.inner.Apply(wide.Data)
	e.GELUBackward(wide, wide, b.before)
	columnSums(wide, b.b1Grad)
	e.Product(b.w1Grad, wide.T(), b.z.N())
	e.AddProduct(zGrad, wide.N(), b.w1.N())

	normBackward(zGrad, b.lruNorm, drop.lru, grad, branch, b.outBiasGrad)
	e.Product(b.outGrad, branch.T(), b.h.N())
	e.Product(b.hGrad, branch.N(), b.out.N())
	clear(b.lambdaGrad)
	scanBackward(b.hGrad, b.h, starts, b.lambda, b.lambdaGrad)
	clear(b.scaledBiasGrad)
	columnSums(b.hGrad, b.scaledBiasGrad)
	e.Product(b.scaledGrad, b.hGrad.T(), x.N())
	e.AddProduct(grad, b.hGrad.N(), b.scaled.N())
	b.chain()
}

// chain carries the gradients of λ and of the scaled weights over to the parameters behind them.
func (b *block) chain() {
	c, d := len(b.lambda)/2, b.in.Cols
	nu, theta, gamma := b.logs.grad[:c], b.logs.grad[c:2*c], b.logs.grad[2*c:]
	for k := range c {
		re, im, gre, gim := b.lambda[k], b.lambda[c+k], b.lambdaGrad[k], b.lambdaGrad[c+k]
		nu[k] = -float32(math.Exp(float64(b.logs.value[k]))) * (gre*re + gim*im)
		theta[k] = float32(math.Exp(float64(b.logs.value[c+k]))) * (gim*re - gre*im)
		gamma[k] = 0
	}
	for r := range 2 * c {
		scale := float32(math.Exp(float64(b.logs.value[2*c+r%c])))
		b.inBias.grad[r] = scale * b.scaledBiasGrad[r]
		sum := b.scaledBiasGrad[r] * b.scaledBias.Data[r]
		from, weight, to := b.scaledGrad.Data[r*d:(r+1)*d], b.scaled.Data[r*d:(r+1)*d], b.inGrad.Data[r*d:(r+1)*d]
		for j, g := range from {
			sum += g * weight[j]
			to[j] = scale * g
		}
		gamma[r%c] += sum
	}
}
