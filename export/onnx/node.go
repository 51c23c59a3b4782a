package onnx

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"mllm4rec/internal/onnxpb"
)

// call is a node that may be added.
type call struct {
	domain string // "" is ONNX's own
	op     string
	inputs []Value
	attrs  []*onnxpb.AttributeProto
}

// add checks a node's inputs, asks infer for the types of its outputs, and adds it. count is the number of outputs; an
// error of infer is told with the inputs and their shapes.
func (g *Graph) add(c call, count int, infer func() ([]Type, error)) []Value {
	out := failures(count)
	for _, v := range c.inputs {
		if v.failed {
			return out
		}
	}
	types, err := g.check(c, infer)
	if err != nil {
		g.fail("%s: %w", c, err)
		return out
	}
	g.model.count++
	name := fmt.Sprintf("%s_%d", c.op, g.model.count)
	for i, t := range types {
		suffix := ""
		if i > 0 {
			suffix = fmt.Sprintf(":%d", i)
		}
		out[i], _ = g.declare(name+suffix, t)
	}
	g.appendNode(c.domain, c.op, c.inputs, c.attrs, out)
	for _, v := range out {
		g.proto.ValueInfo = append(g.proto.ValueInfo, valueInfo(v))
	}
	return out
}

// add1 is add for the usual node with one output.
func (g *Graph) add1(c call, infer func() (Type, error)) Value {
	return g.add(c, 1, func() ([]Type, error) {
		t, err := infer()
		return []Type{t}, err
	})[0]
}

func (g *Graph) check(c call, infer func() ([]Type, error)) ([]Type, error) {
	for _, v := range c.inputs {
		if v.absent() {
			continue
		}
		if err := g.reaches(v); err != nil {
			return nil, err
		}
	}
	return infer()
}

// appendNode adds a checked node that makes out.
func (g *Graph) appendNode(domain, op string, inputs []Value, attrs []*onnxpb.AttributeProto, out []Value) {
	node := &onnxpb.NodeProto{Name: &out[0].name, OpType: &op, Attribute: attrs}
	if domain != "" {
		node.Domain = &domain
		g.model.contrib = true
	}
	for _, v := range inputs {
		node.Input = append(node.Input, v.name)
	}
	for _, v := range out {
		node.Output = append(node.Output, v.name)
	}
	g.proto.Node = append(g.proto.Node, node)
}

// String is like "MatMul(x float32[batch, 3], w float32[4, 2])".
func (c call) String() string {
	inputs := make([]string, len(c.inputs))
	for i, v := range c.inputs {
		inputs[i] = v.String()
	}
	return c.op + "(" + strings.Join(inputs, ", ") + ")"
}

var errFloat = errors.New("needs a floating-point type")

// sameType is the element type that all present values share.
func sameType(values ...Value) (DType, error) {
	var dtype DType
	for _, v := range values {
		if v.absent() {
			continue
		}
		if dtype != 0 && v.typ.DType != dtype {
			return 0, fmt.Errorf("element types %v and %v differ", dtype, v.typ.DType)
		}
		dtype = v.typ.DType
	}
	return dtype, nil
}

func wantType(v Value, dtypes ...DType) error {
	for _, d := range dtypes {
		if v.typ.DType == d {
			return nil
		}
	}
	return fmt.Errorf("%v must be %v", v, dtypes)
}

func wantRank(v Value, rank int) error {
	if len(v.typ.Shape) != rank {
		return fmt.Errorf("%v must have rank %d", v, rank)
	}
	return nil
}

// wantShape checks a present value's shape; an absent one passes.
func wantShape(v Value, dims ...Dim) error {
	if !v.absent() && !v.typ.Shape.fits(dims) {
		return fmt.Errorf("%v must have shape %v", v, Shape(dims))
	}
	return nil
}

func attrInt(name string, v int64) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: &name, Type: onnxpb.AttributeProto_INT.Enum(), I: &v}
}

func attrInts(name string, v ...int64) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: &name, Type: onnxpb.AttributeProto_INTS.Enum(), Ints: v}
}

func attrFloat(name string, v float32) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: &name, Type: onnxpb.AttributeProto_FLOAT.Enum(), F: &v}
}

func attrString(name, v string) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: &name, Type: onnxpb.AttributeProto_STRING.Enum(), S: []byte(v)}
}

func attrGraph(name string, v *onnxpb.GraphProto) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: &name, Type: onnxpb.AttributeProto_GRAPH.Enum(), G: v}
}

// attrs collects attributes for a call.
func attrs(a ...*onnxpb.AttributeProto) []*onnxpb.AttributeProto { return a }

func valueInfo(v Value) *onnxpb.ValueInfoProto {
	shape := &onnxpb.TensorShapeProto{}
	for _, d := range v.typ.Shape {
		dim := &onnxpb.TensorShapeProto_Dimension{}
		if n, ok := d.Size(); ok {
			dim.Value = &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: n}
		} else if d.name != "" {
			dim.Value = &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: d.name}
		}
		shape.Dim = append(shape.Dim, dim)
	}
	tensor := &onnxpb.TypeProto_Tensor{ElemType: proto.Int32(int32(v.typ.DType)), Shape: shape}
	return &onnxpb.ValueInfoProto{
		Name: proto.String(v.name),
		Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{TensorType: tensor}},
	}
}
