package onnx

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"mllm4rec/internal/onnxpb"
)

// Print writes a model as text: versions and metadata, inputs and outputs, weights, then one node a line with the type
// of what it makes; subgraphs are indented. It never looks at the weights' bytes.
func Print(w io.Writer, model *onnxpb.ModelProto) error {
	p := printer{w: bufio.NewWriter(w)}
	p.printf("ONNX model, IR version %d, by %q\n", model.GetIrVersion(), model.GetProducerName())
	for _, o := range model.GetOpsetImport() {
		p.printf("operators %q version %d\n", o.GetDomain(), o.GetVersion())
	}
	for _, m := range model.GetMetadataProps() {
		p.printf("metadata %q = %s\n", m.GetKey(), short(m.GetValue()))
	}
	p.graph(model.GetGraph(), "")
	return p.w.Flush()
}

type printer struct{ w *bufio.Writer }

// printf writes to a buffer, whose Flush tells any error.
func (p *printer) printf(format string, args ...any) { _, _ = fmt.Fprintf(p.w, format, args...) }

func (p *printer) graph(g *onnxpb.GraphProto, indent string) {
	types := map[string]string{}
	for _, list := range [][]*onnxpb.ValueInfoProto{g.GetValueInfo(), g.GetInput(), g.GetOutput()} {
		for _, v := range list {
			types[v.GetName()] = typeText(v.GetType())
		}
	}
	p.printf("%sgraph %q\n", indent, g.GetName())
	for _, v := range g.GetInput() {
		p.printf("%sinput %s %s\n", indent, nameText(v.GetName()), types[v.GetName()])
	}
	for _, t := range g.GetInitializer() {
		p.printf("%sweight %s %s%s\n", indent, nameText(t.GetName()), tensorText(t), placeText(t))
	}
	for _, n := range g.GetNode() {
		p.node(n, types, indent)
	}
	for _, v := range g.GetOutput() {
		p.printf("%soutput %s %s\n", indent, nameText(v.GetName()), types[v.GetName()])
	}
}

func (p *printer) node(n *onnxpb.NodeProto, types map[string]string, indent string) {
	var outputs, inputs, settings []string
	for _, name := range n.GetOutput() {
		outputs = append(outputs, strings.TrimSpace(nameText(name)+" "+types[name]))
	}
	for _, name := range n.GetInput() {
		inputs = append(inputs, nameText(name))
	}
	var graphs []*onnxpb.GraphProto
	for _, a := range n.GetAttribute() {
		if a.GetG() != nil {
			graphs = append(graphs, a.GetG())
			continue
		}
		settings = append(settings, attributeText(a))
	}
	op := n.GetOpType()
	if n.GetDomain() != "" {
		op = n.GetDomain() + "." + op
	}
	p.printf("%s%s = %s(%s)", indent, strings.Join(outputs, ", "), nameText(op), strings.Join(inputs, ", "))
	if len(settings) > 0 {
		p.printf(" {%s}", strings.Join(settings, ", "))
	}
	p.printf("\n")
	for _, g := range graphs {
		p.graph(g, indent+"    ")
	}
}

// nameText quotes a name that a terminal or a reader could stumble over.
func nameText(name string) string {
	if name == "" {
		return "-"
	}
	for _, r := range name {
		if r <= ' ' || r > '~' || strings.ContainsRune(`"(),={}`, r) {
			return fmt.Sprintf("%q", name)
		}
	}
	return name
}

func typeText(t *onnxpb.TypeProto) string {
	tensor := t.GetTensorType()
	if tensor == nil {
		return "not a tensor"
	}
	shape := make(Shape, len(tensor.GetShape().GetDim()))
	for i, d := range tensor.GetShape().GetDim() {
		switch v := d.GetValue().(type) {
		case *onnxpb.TensorShapeProto_Dimension_DimValue:
			shape[i] = Num(v.DimValue)
		case *onnxpb.TensorShapeProto_Dimension_DimParam:
			shape[i] = Sym(nameText(v.DimParam))
		}
	}
	return Type{DType(tensor.GetElemType()), shape}.String()
}

func tensorText(t *onnxpb.TensorProto) string {
	return Type{DType(t.GetDataType()), Nums(t.GetDims()...)}.String()
}

// placeText tells where a weight of the data file lies.
func placeText(t *onnxpb.TensorProto) string {
	if t.GetDataLocation() != onnxpb.TensorProto_EXTERNAL {
		return ""
	}
	var parts []string
	for _, e := range t.GetExternalData() {
		parts = append(parts, fmt.Sprintf("%s %q", e.GetKey(), e.GetValue()))
	}
	return " in " + strings.Join(parts, ", ")
}

func attributeText(a *onnxpb.AttributeProto) string {
	var value string
	switch a.GetType() {
	case onnxpb.AttributeProto_FLOAT:
		value = fmt.Sprint(a.GetF())
	case onnxpb.AttributeProto_INT:
		value = fmt.Sprint(a.GetI())
	case onnxpb.AttributeProto_STRING:
		value = fmt.Sprintf("%q", a.GetS())
	case onnxpb.AttributeProto_FLOATS:
		value = listText(a.GetFloats())
	case onnxpb.AttributeProto_INTS:
		value = listText(a.GetInts())
	case onnxpb.AttributeProto_TENSOR:
		value = tensorText(a.GetT())
	default:
		value = a.GetType().String()
	}
	return nameText(a.GetName()) + "=" + value
}

// listText shows the first values of a list.
func listText[T any](list []T) string {
	const most = 16
	if len(list) <= most {
		return fmt.Sprint(list)
	}
	return fmt.Sprintf("%v … %d more", list[:most], len(list)-most)
}

// short is a metadata value for people, who do not want to see a vocabulary whole.
func short(value string) string {
	const most = 1 << 11
	if len(value) <= most {
		return fmt.Sprintf("%q", value)
	}
	return fmt.Sprintf("%q … %d bytes", value[:64], len(value))
}
