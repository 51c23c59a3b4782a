package onnx

import (
	"errors"
	"fmt"
	"slices"

	"mllm4rec/internal/onnxpb"
)

// A subgraph sees the values of the graphs around it. Its weights and constants are added to the outermost one.

// If runs one of two subgraphs by condition, a boolean of one element. Both return as many values, of the same types;
// dimensions that differ between them are unknown in the result.
func (g *Graph) If(condition Value, then, otherwise func(*Graph) []Value) []Value {
	a, thenOut := g.subgraph("then", then)
	b, elseOut := g.subgraph("else", otherwise)
	c := call{op: "If", inputs: []Value{condition}, attrs: attrs(attrGraph("then_branch", a), attrGraph("else_branch", b))}
	return g.withBodies(c, len(thenOut), append(thenOut[:len(thenOut):len(thenOut)], elseOut...), func() ([]Type, error) {
		if len(thenOut) != len(elseOut) {
			return nil, fmt.Errorf("one branch returns %d values, the other %d", len(thenOut), len(elseOut))
		}
		types := make([]Type, len(thenOut))
		for i, v := range thenOut {
			_, err := sameType(v, elseOut[i])
			if err != nil || len(v.typ.Shape) != len(elseOut[i].typ.Shape) {
				return nil, fmt.Errorf("the branches return %v and %v", v, elseOut[i])
			}
			types[i] = Type{v.typ.DType, common(v.typ.Shape, elseOut[i].typ.Shape)}
		}
		return types, wantType(condition, Bool)
	})
}

// common is s with the dimensions that differ in t unknown.
func common(s, t Shape) Shape {
	out := append(Shape{}, s...)
	for i := range out {
		if out[i] != t[i] {
			out[i] = Dim{}
		}
	}
	return out
}

// Scan runs a subgraph once for each slice of scans along their first axis, in order: it gets the states and one slice
// of each, and returns the next states, of unchanged types, and values of which all rounds' are stacked along a new first
// axis. It returns the last states and the stacks.
func (g *Graph) Scan(states, scans []Value, round func(b *Graph, states, slices []Value) (next, out []Value)) (last, stacks []Value) {
	var inputs []Type
	for _, v := range states {
		inputs = append(inputs, v.typ)
	}
	for _, v := range scans {
		if len(v.typ.Shape) == 0 {
			if !v.failed {
				g.fail("Scan over %v, which has no axis", v)
			}
			return failures(len(states)), nil
		}
		inputs = append(inputs, Type{v.typ.DType, v.typ.Shape[1:]})
	}
	body, out := g.subgraph("scan", func(b *Graph) []Value {
		in := b.inputs(inputs)
		next, out := round(b, in[:len(states)], in[len(states):])
		return append(next[:len(next):len(next)], out...)
	})
	c := call{op: "Scan", inputs: append(states[:len(states):len(states)], scans...), attrs: attrs(
		attrGraph("body", body), attrInt("num_scan_inputs", int64(len(scans))))}
	all := g.withBodies(c, len(out), out, func() ([]Type, error) { return scanTypes(states, scans, out) })
	if len(all) < len(states) {
		return failures(len(states)), nil
	}
	return all[:len(states)], all[len(states):]
}

func scanTypes(states, scans, out []Value) ([]Type, error) {
	if len(scans) == 0 || len(out) < len(states) {
		return nil, errors.New("needs something to scan, and all states back")
	}
	length := scans[0].typ.Shape[0]
	for _, v := range scans {
		if !v.typ.Shape[0].fits(length) {
			return nil, fmt.Errorf("scans over %v and %v", v.typ.Shape[0], length)
		}
	}
	if err := sameStates(states, out); err != nil {
		return nil, err
	}
	var types []Type
	for i, v := range out {
		t := v.typ
		if i >= len(states) {
			t.Shape = append(Shape{length}, t.Shape...)
		}
		types = append(types, t)
	}
	return types, nil
}

func failures(n int) []Value {
	values := make([]Value, n)
	for i := range values {
		values[i].failed = true
	}
	return values
}

func sameStates(states, next []Value) error {
	for i, v := range states {
		if next[i].typ.DType != v.typ.DType || !next[i].typ.Shape.fits(v.typ.Shape) {
			return fmt.Errorf("state %v comes back as %v", v, next[i])
		}
	}
	return nil
}

// Loop runs a subgraph at most count times (int64 scalar) and while it returns true, a boolean scalar: it gets the
// number of the round (int64 scalar) and the states, and returns the next states, of unchanged types. It returns the last.
func (g *Graph) Loop(count Value, states []Value, round func(b *Graph, i Value, states []Value) (more Value, next []Value)) []Value {
	inputs := []Type{{Int64, nil}, {Bool, nil}}
	for _, v := range states {
		inputs = append(inputs, v.typ)
	}
	body, out := g.subgraph("loop", func(b *Graph) []Value {
		in := b.inputs(inputs)
		more, next := round(b, in[0], in[2:])
		return append([]Value{more}, next...)
	})
	c := call{op: "Loop", inputs: append([]Value{count, {}}, states...), attrs: attrs(attrGraph("body", body))}
	return g.withBodies(c, len(states), out, func() ([]Type, error) {
		if len(out) != len(states)+1 {
			return nil, errors.New("needs a condition and all states back")
		}
		var types []Type
		for _, v := range states {
			types = append(types, v.typ)
		}
		return types, errors.Join(wantType(count, Int64), wantType(out[0], Bool), sameStates(states, out[1:]))
	})
}

// subgraph builds a graph inside g; what build returns are its outputs.
func (g *Graph) subgraph(kind string, build func(*Graph) []Value) (*onnxpb.GraphProto, []Value) {
	g.model.count++
	name := fmt.Sprintf("%s%s_%d", g.prefix, kind, g.model.count)
	b := &Graph{body: newBody(g.model, g.body, name), prefix: name + "/"}
	out := build(b)
	for i, v := range out {
		if v.failed {
			continue
		}
		if err := b.reaches(v); err != nil {
			b.fail("output: %w", err)
			continue
		}
		if !b.makes(v) {
			made, ok := b.declare(fmt.Sprintf("out_%d", i), v.typ)
			if !ok {
				continue
			}
			b.appendNode("", "Identity", []Value{v}, nil, []Value{made})
			v = made
		}
		b.proto.Output = append(b.proto.Output, valueInfo(v))
		out[i] = v
	}
	return b.proto, out
}

// makes says whether v can be an output as it is: a node of this graph makes it, and it is none yet. Others pass through
// an Identity, which copies: what a loop carries may be large.
func (b *body) makes(v Value) bool {
	same := func(info *onnxpb.ValueInfoProto) bool { return info.GetName() == v.name }
	return v.body == b && !slices.ContainsFunc(b.proto.Input, same) && !slices.ContainsFunc(b.proto.Output, same)
}

func (g *Graph) inputs(types []Type) []Value {
	values := make([]Value, len(types))
	for i, t := range types {
		values[i], _ = g.declare(fmt.Sprintf("in_%d", i), t)
		g.proto.Input = append(g.proto.Input, valueInfo(values[i]))
	}
	return values
}

// withBodies is add for a node with subgraphs: where these failed, it does too.
func (g *Graph) withBodies(c call, count int, bodies []Value, infer func() ([]Type, error)) []Value {
	for _, v := range bodies {
		if v.failed {
			c.inputs = append([]Value{v}, c.inputs...)
		}
	}
	return g.add(c, count, infer)
}
