package onnx

import (
	"errors"
	"fmt"
)

// ReduceSum sums over axis, which becomes 1 where keep and goes where not.
func (g *Graph) ReduceSum(v Value, axis int, keep bool) Value {
	return g.reduce("ReduceSum", v, axis, keep)
}

// ReduceMax is the largest element over axis.
func (g *Graph) ReduceMax(v Value, axis int, keep bool) Value {
	return g.reduce("ReduceMax", v, axis, keep)
}

// ReduceMin is the smallest element over axis.
func (g *Graph) ReduceMin(v Value, axis int, keep bool) Value {
	return g.reduce("ReduceMin", v, axis, keep)
}

func (g *Graph) reduce(op string, v Value, axis int, keep bool) Value {
	c := call{op: op, inputs: []Value{v, g.Ints(int64(axis))}, attrs: attrs(attrInt("keepdims", flag(keep)))}
	return g.add1(c, func() (Type, error) {
		if v.typ.DType == Bool {
			return Type{}, errors.New("needs numbers")
		}
		shape, err := reduced(v.typ.Shape, axis, keep)
		return Type{v.typ.DType, shape}, err
	})
}

// ArgMax is the index of the largest element over axis, int64; of equal ones the first.
func (g *Graph) ArgMax(v Value, axis int, keep bool) Value {
	c := call{op: "ArgMax", inputs: []Value{v}, attrs: attrs(attrInt("axis", int64(axis)), attrInt("keepdims", flag(keep)))}
	return g.add1(c, func() (Type, error) {
		shape, err := reduced(v.typ.Shape, axis, keep)
		return Type{Int64, shape}, err
	})
}

func reduced(shape Shape, axis int, keep bool) (Shape, error) {
	at, err := shape.axis(axis)
	if err != nil {
		return nil, err
	}
	if keep {
		return shape.with(at, Num(1)), nil
	}
	return append(shape[:at:at], shape[at+1:]...), nil
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// CumSum sums v along axis up to and with each element.
func (g *Graph) CumSum(v Value, axis int) Value {
	return g.add1(call{op: "CumSum", inputs: []Value{v, g.Int(int64(axis))}}, func() (Type, error) {
		_, err := v.typ.Shape.axis(axis)
		return v.typ, err
	})
}

// TopK is the k (int64 [1]) largest elements along axis, largest first, and their int64 indices; of equal elements the
// one with the lower index comes first. size names or numbers k.
func (g *Graph) TopK(v, k Value, axis int, size Dim) (values, indices Value) {
	c := call{op: "TopK", inputs: []Value{v, k}, attrs: attrs(attrInt("axis", int64(axis)))}
	out := g.add(c, 2, func() ([]Type, error) {
		at, err := v.typ.Shape.axis(axis)
		if err = errors.Join(err, wantType(k, Int64), wantShape(k, Num(1))); err != nil {
			return nil, err
		}
		if n, ok := size.Size(); ok {
			if all, known := v.typ.Shape[at].Size(); known && n > all {
				return nil, fmt.Errorf("cannot take %d of %d", n, all)
			}
		}
		shape := v.typ.Shape.with(at, size)
		return []Type{{v.typ.DType, shape}, {Int64, shape}}, nil
	})
	return out[0], out[1]
}
