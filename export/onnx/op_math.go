package onnx

import (
	"errors"
	"fmt"

	"mllm4rec/internal/onnxpb"
)

// Elementwise operators of two values broadcast as in NumPy and want equal element types.

// Add is a + b.
func (g *Graph) Add(a, b Value) Value { return g.arithmetic("Add", a, b) }

// Sub is a − b.
func (g *Graph) Sub(a, b Value) Value { return g.arithmetic("Sub", a, b) }

// Mul is a · b, element by element.
func (g *Graph) Mul(a, b Value) Value { return g.arithmetic("Mul", a, b) }

// Div is a / b; of integers the quotient rounded towards zero.
func (g *Graph) Div(a, b Value) Value { return g.arithmetic("Div", a, b) }

// Mod is the remainder of integers with the sign of b.
func (g *Graph) Mod(a, b Value) Value { return g.arithmetic("Mod", a, b) }

// Pow is a to the power of b.
func (g *Graph) Pow(a, b Value) Value { return g.arithmetic("Pow", a, b) }

// Min is the smaller of a and b, element by element.
func (g *Graph) Min(a, b Value) Value { return g.arithmetic("Min", a, b) }

// Max is the larger of a and b, element by element.
func (g *Graph) Max(a, b Value) Value { return g.arithmetic("Max", a, b) }

func (g *Graph) arithmetic(op string, a, b Value) Value {
	return g.add1(call{op: op, inputs: []Value{a, b}}, func() (Type, error) {
		dtype, err := sameType(a, b)
		if err == nil && dtype == Bool {
			err = errors.New("needs numbers")
		}
		if err != nil {
			return Type{}, err
		}
		shape, err := broadcast(a.typ.Shape, b.typ.Shape)
		return Type{dtype, shape}, err
	})
}

// Equal is a = b as booleans.
func (g *Graph) Equal(a, b Value) Value { return g.comparison("Equal", a, b) }

// Less is a < b as booleans.
func (g *Graph) Less(a, b Value) Value { return g.comparison("Less", a, b) }

// LessOrEqual is a ≤ b as booleans.
func (g *Graph) LessOrEqual(a, b Value) Value { return g.comparison("LessOrEqual", a, b) }

// Greater is a > b as booleans.
func (g *Graph) Greater(a, b Value) Value { return g.comparison("Greater", a, b) }

// GreaterOrEqual is a ≥ b as booleans.
func (g *Graph) GreaterOrEqual(a, b Value) Value { return g.comparison("GreaterOrEqual", a, b) }

func (g *Graph) comparison(op string, a, b Value) Value {
	return g.add1(call{op: op, inputs: []Value{a, b}}, func() (Type, error) {
		if _, err := sameType(a, b); err != nil {
			return Type{}, err
		}
		shape, err := broadcast(a.typ.Shape, b.typ.Shape)
		return Type{Bool, shape}, err
	})
}

// And is true where a and b are.
func (g *Graph) And(a, b Value) Value { return g.logical("And", a, b) }

// Or is true where a or b is.
func (g *Graph) Or(a, b Value) Value { return g.logical("Or", a, b) }

func (g *Graph) logical(op string, a, b Value) Value {
	return g.add1(call{op: op, inputs: []Value{a, b}}, func() (Type, error) {
		if err := errors.Join(wantType(a, Bool), wantType(b, Bool)); err != nil {
			return Type{}, err
		}
		shape, err := broadcast(a.typ.Shape, b.typ.Shape)
		return Type{Bool, shape}, err
	})
}

// Not is true where v is false.
func (g *Graph) Not(v Value) Value {
	return g.add1(call{op: "Not", inputs: []Value{v}}, func() (Type, error) { return v.typ, wantType(v, Bool) })
}

// Neg is −v.
func (g *Graph) Neg(v Value) Value {
	return g.add1(call{op: "Neg", inputs: []Value{v}}, func() (Type, error) { return v.typ, nil })
}

// Exp is e to the power of v.
func (g *Graph) Exp(v Value) Value { return g.function("Exp", v) }

// Sqrt is the square root.
func (g *Graph) Sqrt(v Value) Value { return g.function("Sqrt", v) }

// Cos is the cosine of radians.
func (g *Graph) Cos(v Value) Value { return g.function("Cos", v) }

// Sin is the sine of radians.
func (g *Graph) Sin(v Value) Value { return g.function("Sin", v) }

// Relu is max(v, 0).
func (g *Graph) Relu(v Value) Value { return g.function("Relu", v) }

// Gelu is v · Φ(v) with the exact normal distribution function (erf), not the tanh approximation.
func (g *Graph) Gelu(v Value) Value { return g.function("Gelu", v) }

// GeluTanh is the tanh approximation of Gelu.
func (g *Graph) GeluTanh(v Value) Value {
	return g.function("Gelu", v, attrString("approximate", "tanh"))
}

// function is an elementwise operator on floating-point numbers.
func (g *Graph) function(op string, v Value, attributes ...*onnxpb.AttributeProto) Value {
	return g.add1(call{op: op, inputs: []Value{v}, attrs: attributes}, func() (Type, error) {
		if !v.typ.DType.isFloat() {
			return Type{}, errFloat
		}
		return v.typ, nil
	})
}

// Softmax normalises e^v along axis.
func (g *Graph) Softmax(v Value, axis int) Value { return g.softmax("Softmax", v, axis) }

// LogSoftmax is the logarithm of Softmax.
func (g *Graph) LogSoftmax(v Value, axis int) Value { return g.softmax("LogSoftmax", v, axis) }

func (g *Graph) softmax(op string, v Value, axis int) Value {
	c := call{op: op, inputs: []Value{v}, attrs: attrs(attrInt("axis", int64(axis)))}
	return g.add1(c, func() (Type, error) {
		if !v.typ.DType.isFloat() {
			return Type{}, errFloat
		}
		_, err := v.typ.Shape.axis(axis)
		return v.typ, err
	})
}

// Where is a where condition holds and b elsewhere.
func (g *Graph) Where(condition, a, b Value) Value {
	return g.add1(call{op: "Where", inputs: []Value{condition, a, b}}, func() (Type, error) {
		dtype, err := sameType(a, b)
		if err = errors.Join(err, wantType(condition, Bool)); err != nil {
			return Type{}, err
		}
		shape, err := broadcast(a.typ.Shape, b.typ.Shape)
		if err == nil {
			shape, err = broadcast(shape, condition.typ.Shape)
		}
		return Type{dtype, shape}, err
	})
}

// Cast converts the elements; booleans become 0 and 1, fractions are cut.
func (g *Graph) Cast(v Value, to DType) Value {
	c := call{op: "Cast", inputs: []Value{v}, attrs: attrs(attrInt("to", int64(to)))}
	return g.add1(c, func() (Type, error) {
		if to.Size() == 0 {
			return Type{}, fmt.Errorf("cannot convert to %v", to)
		}
		return Type{to, v.typ.Shape}, nil
	})
}
