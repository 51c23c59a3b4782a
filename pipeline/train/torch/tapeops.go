package torch

import "github.com/sugarme/gotch/libtch"

// To is x in numbers of another kind.
func (t *Tape) To(x Tensor, kind Kind) Tensor {
	return t.own("conversion", func(out *libtch.Ctensor) { libtch.AtgToDtype(out, x.handle, int32(kind), 0, 0) })
}

// Linear is x wᵀ for w [out, in].
func (t *Tape) Linear(x, w Tensor) Tensor {
	return t.own("linear", func(out *libtch.Ctensor) { libtch.AtgLinear(out, x.handle, w.handle, nil) })
}

// MatMul is a b.
func (t *Tape) MatMul(a, b Tensor) Tensor {
	return t.own("product", func(out *libtch.Ctensor) { libtch.AtgMatmul(out, a.handle, b.handle) })
}

// Add is a + b, spread over missing dimensions.
func (t *Tape) Add(a, b Tensor) Tensor {
	return t.own("sum", func(out *libtch.Ctensor) { libtch.AtgAdd(out, a.handle, b.handle) })
}

// Sub is a − b, spread likewise.
func (t *Tape) Sub(a, b Tensor) Tensor {
	return t.own("difference", func(out *libtch.Ctensor) { libtch.AtgSub(out, a.handle, b.handle) })
}

// Mul is a · b, number by number, spread likewise.
func (t *Tape) Mul(a, b Tensor) Tensor {
	return t.own("product of numbers", func(out *libtch.Ctensor) { libtch.AtgMul(out, a.handle, b.handle) })
}

// Scale is x · factor.
func (t *Tape) Scale(x Tensor, factor float64) Tensor {
	return t.scalar("scale", libtch.AtsFloat(factor), func(out *libtch.Ctensor, s libtch.Cscalar) { libtch.AtgMulScalar(out, x.handle, s) })
}

// Silu is x · sigmoid(x).
func (t *Tape) Silu(x Tensor) Tensor {
	return t.own("silu", func(out *libtch.Ctensor) { libtch.AtgSilu(out, x.handle) })
}

// RMSNorm is weight · x / √(mean x² + epsilon) along the last dimension, in float32.
func (t *Tape) RMSNorm(x, weight Tensor, epsilon float64) Tensor {
	x = t.To(x, Float32)
	squares := t.Mul(x, x)
	mean := t.own("mean", func(out *libtch.Ctensor) { libtch.AtgMeanDim(out, squares.handle, []int64{-1}, 1, 1, int32(Float32)) })
	above := t.scalar("epsilon", libtch.AtsFloat(epsilon), func(out *libtch.Ctensor, s libtch.Cscalar) { libtch.AtgAddScalar(out, mean.handle, s) })
	factor := t.own("root", func(out *libtch.Ctensor) { libtch.AtgRsqrt(out, above.handle) })
	return t.Mul(t.Mul(x, factor), weight)
}

// Attention is softmax(q kᵀ / √dim + mask) v of every head: q [heads, queries, dim], k and v [heads, keys, dim], mask
// [queries, keys] says which keys are seen. libtorch chooses a fused kernel where it has one.
func (t *Tape) Attention(q, k, v, mask Tensor) Tensor {
	batch := func(x Tensor) Tensor {
		return t.own("attention", func(out *libtch.Ctensor) { libtch.AtgUnsqueeze(out, x.handle, 0) })
	}
	q, k, v = batch(q), batch(k), batch(v)
	all := t.own("attention", func(out *libtch.Ctensor) {
		libtch.AtgScaledDotProductAttention(out, q.handle, k.handle, v.handle, mask.handle, 0, 0, 0, 1)
	})
	return t.own("attention", func(out *libtch.Ctensor) { libtch.AtgSelect(out, all.handle, 0, 0) })
}

// Reshape is x in another shape.
func (t *Tape) Reshape(x Tensor, shape ...int) Tensor {
	return t.own("reshape", func(out *libtch.Ctensor) { libtch.AtgReshape(out, x.handle, sizes(shape), len(shape)) })
}

// Swap is x with two dimensions in each other's place.
func (t *Tape) Swap(x Tensor, a, b int) Tensor {
	return t.own("transpose", func(out *libtch.Ctensor) { libtch.AtgTranspose(out, x.handle, int64(a), int64(b)) })
}

// Part is x from one place on along a dimension.
func (t *Tape) Part(x Tensor, dim, from, length int) Tensor {
	return t.own("part", func(out *libtch.Ctensor) { libtch.AtgNarrow(out, x.handle, int64(dim), int64(from), int64(length)) })
}

// Join puts tensors behind one another along a dimension.
func (t *Tape) Join(dim int, parts ...Tensor) Tensor {
	handles := make([]libtch.Ctensor, len(parts))
	for i, p := range parts {
		handles[i] = p.handle
	}
	return t.own("join", func(out *libtch.Ctensor) { libtch.AtgCat(out, handles, len(handles), int64(dim)) })
}

// Rows are those of x that are named.
func (t *Tape) Rows(x, names Tensor) Tensor {
	return t.own("rows", func(out *libtch.Ctensor) { libtch.AtgIndexSelect(out, x.handle, 0, names.handle) })
}

// Repeat has each part of the first dimension so many times, one behind the other.
func (t *Tape) Repeat(x Tensor, times int) Tensor {
	return t.own("repeat", func(out *libtch.Ctensor) {
		libtch.AtgRepeatInterleaveSelfInt(out, x.handle, int64(times), 0, 0, 0, 1)
	})
}

// Halves are the high and the low four bits of bytes, [n] each.
func (t *Tape) Halves(x Tensor) (high, low Tensor) {
	high = t.scalar("high half", libtch.AtsInt(4), func(out *libtch.Ctensor, s libtch.Cscalar) { libtch.Atg__Rshift_(out, x.handle, s) })
	low = t.scalar("low half", libtch.AtsInt(15), func(out *libtch.Ctensor, s libtch.Cscalar) { libtch.AtgBitwiseAnd(out, x.handle, s) })
	return high, low
}

func (t *Tape) scalar(operation string, s libtch.Cscalar, call func(*libtch.Ctensor, libtch.Cscalar)) Tensor {
	defer libtch.AtsFree(s)
	return t.own(operation, func(out *libtch.Ctensor) { call(out, s) })
}
