package onnx

import (
	"errors"
	"fmt"
)

// Operators of com.microsoft, which ONNX Runtime has in one fast kernel each.

// QuickGelu is v · sigmoid(alpha · v); alpha 1 is SiLU.
func (g *Graph) QuickGelu(v Value, alpha float32) Value {
	c := call{domain: contribDomain, op: "QuickGelu", inputs: []Value{v}, attrs: attrs(attrFloat("alpha", alpha))}
	return g.add1(c, func() (Type, error) {
		if !v.typ.DType.isFloat() {
			return Type{}, errFloat
		}
		return v.typ, nil
	})
}

// SkipRMSNorm adds skip to v, both [batch, length, hidden], and normalises the sum as RMSNorm does. It returns the
// normalised values and the sum.
func (g *Graph) SkipRMSNorm(v, skip, weight Value, epsilon float32) (normed, sum Value) {
	c := call{
		domain: contribDomain, op: "SkipSimplifiedLayerNormalization",
		inputs: []Value{v, skip, weight}, attrs: attrs(attrFloat("epsilon", epsilon)),
	}
	out := g.addSkipping(c, func() (Type, error) {
		if !skip.typ.Shape.fits(v.typ.Shape) {
			return Type{}, fmt.Errorf("%v and %v differ in shape", v, skip)
		}
		return v.typ, errors.Join(wantRank(v, 3), checkNorm(v, weight, Value{}))
	})
	return out[0], out[1]
}

// SkipLayerNorm adds skip to v, both [batch, length, hidden], and normalises the sum as LayerNorm does. It returns the normalised
// values and the sum.
func (g *Graph) SkipLayerNorm(v, skip, weight, bias Value, epsilon float32) (normed, sum Value) {
	c := call{
		domain: contribDomain, op: "SkipLayerNormalization",
		inputs: []Value{v, skip, weight, bias}, attrs: attrs(attrFloat("epsilon", epsilon)),
	}
	out := g.addSkipping(c, func() (Type, error) {
		if !skip.typ.Shape.fits(v.typ.Shape) {
			return Type{}, fmt.Errorf("%v and %v differ in shape", v, skip)
		}
		return v.typ, errors.Join(wantRank(v, 3), checkNorm(v, weight, bias))
	})
	return out[0], out[1]
}

// addSkipping adds a node of which outputs 0 and 3 are used, both of one type, and 1 and 2 are left out.
func (g *Graph) addSkipping(c call, infer func() (Type, error)) [2]Value {
	out := g.add(c, 2, func() ([]Type, error) {
		t, err := infer()
		return []Type{t, t}, err
	})
	if !out[0].failed {
		node := g.proto.Node[len(g.proto.Node)-1]
		node.Output = []string{out[0].name, "", "", out[1].name}
	}
	return [2]Value{out[0], out[1]}
}
