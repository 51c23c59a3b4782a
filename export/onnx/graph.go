// Package onnx writes ONNX models: code builds a graph from typed values with symbolic shapes, and every node's types
// and shapes are checked as it is added, so that a wrong model fails at the line that is wrong and not in a runtime.
//
//	g := onnx.New("linear")
//	x := g.Input("x", onnx.Float32, onnx.Sym("batch"), onnx.Num(3))
//	w := g.Float32("w", []int64{3, 2}, weights)
//	g.Output("y", g.MatMul(x, w))
//	model, err := g.Finish()
//
// Errors are collected in the graph and told by Finish; what follows from a wrong value is passed over in silence. Weights
// may be streamed and never be in memory; above 1 GiB they go into a data file beside the model. Models are of opset 21
// and IR version 10, with operators of com.microsoft (ONNX Runtime's own) where those pay. Specification: onnx.ai.
package onnx

import (
	"errors"
	"fmt"
	"strings"

	"mllm4rec/internal/onnxpb"
)

// Versions of the format and of the operators that the models use.
const (
	irVersion      = 10
	opset          = 21
	contribDomain  = "com.microsoft"
	contribVersion = 1
)

// Value is a tensor in a graph under construction: a name, an element type, a shape. The zero Value stands for an
// optional input that is left out.
type Value struct {
	name   string
	typ    Type
	body   *body
	failed bool // made by a node that was refused
}

// Name is the value's name in the model.
func (v Value) Name() string { return v.name }

// DType is the element type.
func (v Value) DType() DType { return v.typ.DType }

// Shape is the shape; the caller does not change it.
func (v Value) Shape() Shape { return v.typ.Shape }

// Dim is the dimension at axis, counted from the end where negative, or an unknown one where the value has no such axis.
func (v Value) Dim(axis int) Dim {
	at, err := v.typ.Shape.axis(axis)
	if err != nil {
		return Dim{}
	}
	return v.typ.Shape[at]
}

func (v Value) absent() bool { return v.body == nil && !v.failed }

// String is like "x float32[batch, 64]".
func (v Value) String() string {
	if v.absent() {
		return "-"
	}
	return v.name + " " + v.typ.String()
}

// Graph is a model's graph, or a subgraph of a control-flow node, under construction. It is used by one goroutine.
type Graph struct {
	*body
	prefix string
}

// body is what views of a graph with different prefixes share.
type body struct {
	model  *state
	parent *body // of a subgraph
	proto  *onnxpb.GraphProto
	// Where the sizes of named dimensions can be read from when the graph runs, and the sizes that were, int64 [1].
	carriers map[string]carrier
	sizes    map[string]Value
}

func newBody(model *state, parent *body, name string) *body {
	return &body{
		model: model, parent: parent, proto: &onnxpb.GraphProto{Name: &name}, carriers: map[string]carrier{}, sizes: map[string]Value{},
	}
}

// state is what a graph and its subgraphs share.
type state struct {
	root         *Graph
	names        map[string]bool
	count        int
	initializers []*initializer
	constants    map[string]Value
	metadata     map[string]string
	contrib      bool
	errs         []error
}

// carrier is a value that has a named dimension.
type carrier struct {
	value Value
	axis  int
}

// New begins a model.
func New(name string) *Graph {
	s := &state{names: map[string]bool{}, constants: map[string]Value{}, metadata: map[string]string{}}
	s.root = &Graph{body: newBody(s, nil, name)}
	return s.root
}

// Scope is the same graph with name/ before the names of what is added through it.
func (g *Graph) Scope(name string) *Graph {
	return &Graph{body: g.body, prefix: g.prefix + name + "/"}
}

// Input adds an input of the model.
func (g *Graph) Input(name string, dtype DType, dims ...Dim) Value {
	if g.parent != nil {
		return g.fail("input %s: a subgraph's inputs are those of its node", name)
	}
	v, ok := g.declare(name, Type{dtype, dims})
	if ok {
		g.proto.Input = append(g.proto.Input, valueInfo(v))
	}
	return v
}

// Output makes v an output of the model under a name.
func (g *Graph) Output(name string, v Value) {
	if v.failed {
		return
	}
	if g.parent != nil {
		g.fail("output %s: a subgraph's outputs are what its function returns", name)
		return
	}
	if err := g.reaches(v); err != nil {
		g.fail("output %s: %w", name, err)
		return
	}
	out, ok := g.declare(name, v.typ)
	if !ok {
		return
	}
	g.appendNode("", "Identity", []Value{v}, nil, []Value{out})
	g.proto.Output = append(g.proto.Output, valueInfo(out))
}

// Metadata sets a key of the model's string map.
func (g *Graph) Metadata(key, value string) { g.model.metadata[key] = value }

// Assume is v with the shape that the caller knows it to have; it adds no node. Named dimensions that v had may become
// others: that their sizes agree is the caller's promise.
func (g *Graph) Assume(v Value, dims ...Dim) Value {
	if v.failed {
		return v
	}
	fits := len(dims) == len(v.typ.Shape)
	for i := 0; fits && i < len(dims); i++ {
		if _, numeric := v.typ.Shape[i].Size(); numeric {
			fits = v.typ.Shape[i].fits(dims[i])
		}
	}
	if !fits {
		return g.fail("%v cannot have shape %v", v, Shape(dims))
	}
	v.typ.Shape = dims
	g.carry(v)
	return v
}

// Err is what was wrong so far, or nil.
func (g *Graph) Err() error {
	const most = 10
	errs := g.model.errs
	if len(errs) > most {
		errs = append(errs[:most:most], fmt.Errorf("and %d more", len(errs)-most))
	}
	return errors.Join(errs...)
}

// fail notes an error and returns the value that later nodes pass over.
func (g *Graph) fail(format string, args ...any) Value {
	err := fmt.Errorf(format, args...)
	if where := strings.TrimSuffix(g.prefix, "/"); where != "" {
		err = fmt.Errorf("%s: %w", where, err)
	}
	g.model.errs = append(g.model.errs, err)
	return Value{failed: true}
}

// declare makes a value with a name that is not taken.
func (g *Graph) declare(name string, t Type) (Value, bool) {
	name = g.prefix + name
	if name == g.prefix || g.model.names[name] {
		return g.fail("the name %q is taken or empty", name), false
	}
	g.model.names[name] = true
	v := Value{name: name, typ: t, body: g.body}
	g.carry(v)
	return v, true
}

// carry remembers where named dimensions of this graph can be read from when it runs.
func (g *Graph) carry(v Value) {
	if v.body != g.body {
		return
	}
	for i, d := range v.typ.Shape {
		if _, ok := g.carriers[d.name]; d.name != "" && !ok {
			g.carriers[d.name] = carrier{v, i}
		}
	}
}

// reaches says whether v can be used here: it must be of this graph or of one around it.
func (g *Graph) reaches(v Value) error {
	for b := g.body; b != nil; b = b.parent {
		if v.body == b {
			return nil
		}
	}
	return fmt.Errorf("%v belongs to another graph", v)
}
