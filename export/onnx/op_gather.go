package onnx

import (
	"errors"
	"fmt"
)

// Gather takes slices of v along axis by indices (int32 or int64, any shape, negative ones from the end): the axis is
// replaced by the shape of indices.
func (g *Graph) Gather(v, indices Value, axis int) Value {
	c := call{op: "Gather", inputs: []Value{v, indices}, attrs: attrs(attrInt("axis", int64(axis)))}
	return g.add1(c, func() (Type, error) {
		at, err := v.typ.Shape.axis(axis)
		if err = errors.Join(err, wantType(indices, Int64, Int32)); err != nil {
			return Type{}, err
		}
		shape := append(Shape{}, v.typ.Shape[:at]...)
		shape = append(append(shape, indices.typ.Shape...), v.typ.Shape[at+1:]...)
		return Type{v.typ.DType, shape}, nil
	})
}

// GatherElements takes elements of v along axis by indices of v's rank: out[i][j] = v[indices[i][j]][j] for axis 0.
func (g *Graph) GatherElements(v, indices Value, axis int) Value {
	c := call{op: "GatherElements", inputs: []Value{v, indices}, attrs: attrs(attrInt("axis", int64(axis)))}
	return g.add1(c, func() (Type, error) {
		err := errors.Join(wantType(indices, Int64, Int32), wantRank(indices, len(v.typ.Shape)))
		return Type{v.typ.DType, indices.typ.Shape}, err
	})
}

// ScatterElements is v with updates at indices along axis: out[i][indices[i][j]] = updates[i][j] for axis 1. An index
// that comes twice must have equal updates.
func (g *Graph) ScatterElements(v, indices, updates Value, axis int) Value {
	c := call{op: "ScatterElements", inputs: []Value{v, indices, updates}, attrs: attrs(attrInt("axis", int64(axis)))}
	return g.add1(c, func() (Type, error) {
		_, err := v.typ.Shape.axis(axis)
		_, differ := sameType(v, updates)
		if err := errors.Join(err, differ, wantType(indices, Int64, Int32), wantRank(indices, len(v.typ.Shape))); err != nil {
			return Type{}, err
		}
		if !updates.typ.Shape.fits(indices.typ.Shape) {
			return Type{}, fmt.Errorf("updates %v and indices %v differ in shape", updates, indices)
		}
		return v.typ, nil
	})
}

// GatherRows takes one slice a row of v, [batch, length, …], by indices, int64 [batch]: [batch, …].
func (g *Graph) GatherRows(v, indices Value) Value {
	if v.failed || indices.failed {
		return Value{failed: true}
	}
	c := call{op: "GatherND", inputs: []Value{v, g.Unsqueeze(indices, 1)}, attrs: attrs(attrInt("batch_dims", 1))}
	return g.add1(c, func() (Type, error) {
		err := errors.Join(wantType(indices, Int64), wantShape(indices, v.Dim(0)))
		if len(v.typ.Shape) < 2 {
			err = errors.Join(err, fmt.Errorf("%v has no rows", v))
		}
		if err != nil {
			return Type{}, err
		}
		return Type{v.typ.DType, append(Shape{v.Dim(0)}, v.typ.Shape[2:]...)}, nil
	})
}
