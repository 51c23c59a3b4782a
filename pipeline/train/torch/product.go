package torch

import "github.com/sugarme/gotch/libtch"

// Operand is a matrix as a factor: itself or transposed.
type Operand struct {
	matrix *Matrix
	turned bool
}

// N is m as it is.
func (m *Matrix) N() Operand { return Operand{matrix: m} }

// T is m transposed.
func (m *Matrix) T() Operand { return Operand{matrix: m, turned: true} }

func (o Operand) shape() (rows, cols int) {
	if o.turned {
		return o.matrix.Cols, o.matrix.Rows
	}
	return o.matrix.Rows, o.matrix.Cols
}

func (o Operand) handle() libtch.Ctensor {
	if o.turned {
		return o.matrix.turned
	}
	return o.matrix.view
}

// Product makes out = a·b.
func (e *Engine) Product(out *Matrix, a, b Operand) {
	if !e.fits("product", out, a, b) {
		return
	}
	var result libtch.Ctensor
	libtch.AtgMmOut(&result, out.view, a.handle(), b.handle())
	e.finish("product", result)
}

// AddProduct makes out += a·b.
func (e *Engine) AddProduct(out *Matrix, a, b Operand) {
	if !e.fits("sum of products", out, a, b) {
		return
	}
	var result libtch.Ctensor
	libtch.AtgAddmmOut(&result, out.view, out.view, a.handle(), b.handle())
	e.finish("sum of products", result)
}

// ProductPlus makes out = base + a·b; base has the shape of out and may be it.
func (e *Engine) ProductPlus(out, base *Matrix, a, b Operand) {
	if !e.fits("sum of products", out, a, b) || !e.same("sum of products", out, base) {
		return
	}
	var result libtch.Ctensor
	libtch.AtgAddmmOut(&result, out.view, base.view, a.handle(), b.handle())
	e.finish("sum of products", result)
}

// Affine makes out = a·b + bias, bias [1, columns of b] added to every row.
func (e *Engine) Affine(out *Matrix, a, b Operand, bias *Matrix) {
	if !e.fits("affine map", out, a, b) {
		return
	}
	if bias.Rows != 1 || bias.Cols != out.Cols {
		e.fail("affine map: bias is [%d, %d], not [1, %d]", bias.Rows, bias.Cols, out.Cols)
		return
	}
	var result libtch.Ctensor
	libtch.AtgAddmmOut(&result, out.view, bias.view, a.handle(), b.handle())
	e.finish("affine map", result)
}

// GELU makes out = gelu(x), the exact (erf) form.
func (e *Engine) GELU(out, x *Matrix) {
	if !e.same("gelu", out, x) {
		return
	}
	var result libtch.Ctensor
	libtch.AtgGeluOut(&result, out.view, x.view, "none")
	e.finish("gelu", result)
}

// GELUBackward makes out = gradient · gelu'(x).
func (e *Engine) GELUBackward(out, gradient, x *Matrix) {
	if !e.same("gelu backward", out, x) || !e.same("gelu backward", gradient, x) {
		return
	}
	var result libtch.Ctensor
	libtch.AtgGeluBackwardGradInput(&result, out.view, gradient.view, x.view, "none")
	e.finish("gelu backward", result)
}

// fits checks shapes before libtorch would resize or complain.
func (e *Engine) fits(operation string, out *Matrix, a, b Operand) bool {
	if e.err != nil {
		return false
	}
	rows, inner := a.shape()
	inner2, cols := b.shape()
	if inner != inner2 || out.Rows != rows || out.Cols != cols {
		e.fail("%s: [%d, %d]·[%d, %d] into [%d, %d]", operation, rows, inner, inner2, cols, out.Rows, out.Cols)
	}
	return e.err == nil
}

func (e *Engine) same(operation string, a, b *Matrix) bool {
	if e.err == nil && (a.Rows != b.Rows || a.Cols != b.Cols) {
		e.fail("%s: [%d, %d] and [%d, %d]", operation, a.Rows, a.Cols, b.Rows, b.Cols)
	}
	return e.err == nil
}

// finish drops the second handle on the output that libtorch hands back.
func (e *Engine) finish(operation string, result libtch.Ctensor) {
	if result != nil {
		libtch.AtFree(result)
	}
	e.check(operation)
}
