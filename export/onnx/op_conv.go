package onnx

import "errors"

// ConvPatches is the convolution of v, [batch, in, height, width], with weight, [out, in, side, side], in steps of side, so
// that patches do not overlap, plus bias, [out]: [batch, out, height / side, width / side]. What is left at the edges is
// passed over.
func (g *Graph) ConvPatches(v, weight, bias Value) Value {
	side, known := weight.Dim(-1).Size()
	c := call{op: "Conv", inputs: []Value{v, weight, bias}, attrs: attrs(attrInts("strides", side, side))}
	return g.add1(c, func() (Type, error) {
		dtype, err := sameType(v, weight, bias)
		if !known || side < 1 {
			err = errors.Join(err, errors.New("needs a patch of known size"))
		}
		out := weight.Dim(0)
		err = errors.Join(err, wantRank(v, 4), wantShape(weight, Dim{}, v.Dim(1), Num(side), Num(side)), wantShape(bias, out))
		if err != nil {
			return Type{}, err
		}
		return Type{dtype, Shape{v.Dim(0), out, patches(v.Dim(2), side), patches(v.Dim(3), side)}}, nil
	})
}

func patches(d Dim, side int64) Dim {
	n, ok := d.Size()
	if !ok {
		return Dim{}
	}
	return Num(n / side)
}
