package onnx

import (
	"errors"
	"fmt"
)

// MatMul is the matrix product of a [… m, k] and b [… k, n]: [… m, n], leading dimensions broadcast.
func (g *Graph) MatMul(a, b Value) Value {
	return g.add1(call{op: "MatMul", inputs: []Value{a, b}}, func() (Type, error) {
		dtype, err := sameType(a, b)
		if err != nil {
			return Type{}, err
		}
		s, t := a.typ.Shape, b.typ.Shape
		if len(s) < 2 || len(t) < 2 {
			return Type{}, errors.New("needs matrices")
		}
		if k, l := a.Dim(-1), b.Dim(-2); !k.fits(l) {
			return Type{}, fmt.Errorf("inner dimensions %v and %v differ", k, l)
		}
		shape, err := broadcast(s[:len(s)-2], t[:len(t)-2])
		return Type{dtype, append(shape, a.Dim(-2), b.Dim(-1))}, err
	})
}

// Gemm is a · b + c, or a · bᵀ + c where transposeB: a [m, k], b [k, n] or [n, k], c broadcasting to [m, n] or absent.
func (g *Graph) Gemm(a, b, c Value, transposeB bool) Value {
	inputs := []Value{a, b}
	if !c.absent() {
		inputs = append(inputs, c)
	}
	node := call{op: "Gemm", inputs: inputs}
	if transposeB {
		node.attrs = attrs(attrInt("transB", 1))
	}
	return g.add1(node, func() (Type, error) {
		dtype, err := sameType(inputs...)
		if err = errors.Join(err, wantRank(a, 2), wantRank(b, 2)); err != nil {
			return Type{}, err
		}
		k, n := b.Dim(0), b.Dim(1)
		if transposeB {
			k, n = n, k
		}
		if !k.fits(a.Dim(1)) {
			return Type{}, fmt.Errorf("inner dimensions %v and %v differ", a.Dim(1), k)
		}
		shape := Shape{a.Dim(0), n}
		if !c.absent() {
			if sum, err := broadcast(shape, c.typ.Shape); err != nil || !sum.fits(shape) {
				return Type{}, fmt.Errorf("%v does not broadcast to %v", c, shape)
			}
		}
		return Type{dtype, shape}, nil
	})
}
