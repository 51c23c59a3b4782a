package onnx

import "errors"

// LayerNorm normalises the last axis to mean 0 and variance 1, then scales by weight and adds bias, both [last axis];
// bias may be absent.
func (g *Graph) LayerNorm(v, weight, bias Value, epsilon float32) Value {
	inputs := []Value{v, weight}
	if !bias.absent() {
		inputs = append(inputs, bias)
	}
	c := call{op: "LayerNormalization", inputs: inputs, attrs: attrs(attrFloat("epsilon", epsilon))}
	return g.add1(c, func() (Type, error) { return v.typ, checkNorm(v, weight, bias) })
}

// RMSNorm divides the last axis by its root mean square and scales by weight [last axis] (ONNX Runtime's
// SimplifiedLayerNormalization, which it keeps in ONNX's own domain).
func (g *Graph) RMSNorm(v, weight Value, epsilon float32) Value {
	c := call{op: "SimplifiedLayerNormalization", inputs: []Value{v, weight}, attrs: attrs(
		attrInt("axis", -1), attrFloat("epsilon", epsilon), attrInt("stash_type", 1))}
	return g.add1(c, func() (Type, error) { return v.typ, checkNorm(v, weight, Value{}) })
}

func checkNorm(v, weight, bias Value) error {
	if !v.typ.DType.isFloat() {
		return errFloat
	}
	_, err := sameType(v, weight, bias)
	return errors.Join(err, wantShape(weight, v.Dim(-1)), wantShape(bias, v.Dim(-1)))
}
