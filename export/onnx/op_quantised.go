package onnx

import (
	"errors"
	"fmt"
)

// Products with quantised matrices.

// QuantizeLinear is round(v / scale) + zero, cut to the range of zero's type, uint8 or int8; both are [1] or scalars, or
// of the size of v's dimension at axis.
func (g *Graph) QuantizeLinear(v, scale, zero Value, axis int) Value {
	c := call{op: "QuantizeLinear", inputs: []Value{v, scale, zero}, attrs: attrs(attrInt("axis", int64(axis)))}
	return g.add1(c, func() (Type, error) {
		_, err := sameType(v, scale)
		return Type{zero.typ.DType, v.typ.Shape}, errors.Join(err, wantType(zero, Uint8, Int8))
	})
}

// MatMulIntegerToFloat is (a − aZero) · b scaled by aScale, a scalar, and bScale, [n]: a is uint8 or int8 [… m, k], b
// int8 or uint8 [k, n].
func (g *Graph) MatMulIntegerToFloat(a, b, aScale, bScale, aZero Value) Value {
	c := call{domain: contribDomain, op: "MatMulIntegerToFloat", inputs: []Value{a, b, aScale, bScale, aZero}}
	return g.add1(c, func() (Type, error) {
		shape, err := productShape(a, b)
		_, differ := sameType(a, aZero)
		_, scales := sameType(aScale, bScale)
		return Type{aScale.typ.DType, shape}, errors.Join(err, differ, scales, wantType(a, Uint8, Int8), wantType(b, Uint8, Int8),
			wantShape(bScale, b.Dim(1)))
	})
}

func productShape(a, b Value) (Shape, error) {
	if err := wantRank(b, 2); err != nil {
		return nil, err
	}
	if len(a.typ.Shape) < 2 || !a.Dim(-1).fits(b.Dim(0)) {
		return nil, fmt.Errorf("inner dimensions %v and %v differ", a.Dim(-1), b.Dim(0))
	}
	return a.typ.Shape.with(len(a.typ.Shape)-1, b.Dim(1)), nil
}

// Blocks is a matrix [n, k] quantised in blocks of elements along k.
type Blocks struct {
	// Packed is uint8 [n, k/block, block·bits/8]; of 4 bits the element with the even index is in the low half of a byte.
	Packed Value
	// Scales is [n · k/block], one a block.
	Scales Value
	// Zeros is what the zero is: of the type of Scales [n · k/block], or packed uint8, or absent for 2^(bits−1).
	Zeros             Value
	N, K, Block, Bits int64
	// Level says in what a product is summed up: 0 or 1 float32, 4 int8 with the activations quantised in blocks too.
	Level int64
}

// MatMulNBits is the product of v, [… k], and the transposed matrix: [… n].
func (g *Graph) MatMulNBits(v Value, b Blocks) Value {
	c := call{
		domain: contribDomain, op: "MatMulNBits", inputs: []Value{v, b.Packed, b.Scales},
		attrs: attrs(attrInt("K", b.K), attrInt("N", b.N), attrInt("bits", b.Bits), attrInt("block_size", b.Block),
			attrInt("accuracy_level", b.Level)),
	}
	if !b.Zeros.absent() {
		c.inputs = append(c.inputs, b.Zeros)
	}
	return g.add1(c, func() (Type, error) {
		if b.Block < 16 || b.K%b.Block != 0 || b.Bits != 4 && b.Bits != 8 {
			return Type{}, fmt.Errorf("blocks of %d elements of %d bits do not fill rows of %d", b.Block, b.Bits, b.K)
		}
		if !v.Dim(-1).fits(Num(b.K)) {
			return Type{}, fmt.Errorf("inner dimensions %v and %d differ", v.Dim(-1), b.K)
		}
		_, err := sameType(v, b.Scales)
		blocks := b.K / b.Block
		err = errors.Join(err, wantType(b.Packed, Uint8), wantShape(b.Packed, Num(b.N), Num(blocks), Num(b.Block*b.Bits/8)),
			wantShape(b.Scales, Num(b.N*blocks)))
		return Type{v.typ.DType, v.typ.Shape.with(len(v.typ.Shape)-1, Num(b.N))}, err
	})
}
