package modelfile

import (
	"errors"
	"fmt"
	"slices"
)

// maxMade is the most elements that one node may be told to make out of nothing: 8 GiB of float32.
const maxMade = 2 << 30

var errSparse = errors.New("it holds a sparse tensor, which ONNX Runtime would make dense at any size")

// graph is what the walk remembers of one graph, or of a function's body.
type graph struct {
	inputs, outputs []Value
	initialised     map[string]bool
	shapes          map[string][]int64 // values of small constants, by name: shapes are given so
	makers          []maker
}

// maker is a node that makes a tensor as large as a constant says.
type maker struct{ op, shape string }

// fed are the inputs without an initialiser: those that a run must feed. (Before IR version 4 all were listed.)
func (g *graph) fed() []Value {
	return slices.DeleteFunc(g.inputs, func(v Value) bool { return g.initialised[v.Name] })
}

// shapeInput is, for the operators that allocate by a shape that they are fed, which input that is.
var shapeInput = map[string]int{"ConstantOfShape": 0, "Expand": 1, "Tile": 1}

// node: 1 input, 2 output, 4 op_type, 5 attribute.
func (w *walker) node(f field, g *graph) error {
	var op string
	var inputs, outputs []string
	var made []int64
	err := w.each(f, func(f field) (err error) {
		switch f.number {
		case 1:
			inputs, err = w.list(inputs, f)
		case 2:
			outputs, err = w.list(outputs, f)
		case 4:
			op, err = w.in.text(f)
		case 5:
			err = w.attribute(f, &made)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("node %s: %w", op, err)
	}
	return g.remember(op, inputs, outputs, made)
}

func (w *walker) list(to []string, f field) ([]string, error) {
	text, err := w.in.text(f)
	return append(to, text), err
}

// remember keeps what checkAllocations will look at, and refuses nodes that are out of the question.
func (g *graph) remember(op string, inputs, outputs []string, made []int64) error {
	if op == "EPContext" {
		return errors.New("node EPContext: it holds an engine compiled for one device, which cannot be checked")
	}
	if op == "Constant" && len(outputs) == 1 && made != nil {
		g.shapes[outputs[0]] = made
	}
	if op == "RandomNormal" || op == "RandomUniform" {
		return checkMade(op, made)
	}
	if at, ok := shapeInput[op]; ok && at < len(inputs) {
		g.makers = append(g.makers, maker{op, inputs[at]})
	}
	return nil
}

func (g *graph) checkAllocations() error {
	for _, m := range g.makers {
		if err := checkMade(m.op, g.shapes[m.shape]); err != nil {
			return err
		}
	}
	return nil
}

func checkMade(op string, shape []int64) error {
	if n, err := elements(shape); err != nil || n > maxMade {
		return fmt.Errorf("node %s: it would make a tensor of shape %v; at most %d elements are allowed", op, shape, int64(maxMade))
	}
	return nil
}

// attribute: 1 name, 5 t, 6 g, 8 ints, 10 tensors, 11 graphs, 22 sparse_tensor, 23 sparse_tensors. Where it holds a
// shape (a small tensor, or ints named "shape" or "value_ints") it goes to made.
func (w *walker) attribute(f field, made *[]int64) error {
	var name string
	var ints, constant []int64
	single := 0
	err := w.each(f, func(f field) (err error) {
		switch f.number {
		case 1:
			name, err = w.in.text(f)
		case 5, 6:
			if single++; single > 1 {
				return fmt.Errorf("attribute %s: two values", name)
			}
			if f.number == 5 {
				constant, err = w.constant(f)
			} else {
				err = w.graph(f)
			}
		case 8:
			ints, err = w.in.numbers(ints, f, maxInts)
		case 10:
			_, err = w.constant(f)
		case 11:
			err = w.graph(f)
		case 22, 23:
			err = errSparse
		}
		return err
	})
	if made == nil {
		return err
	}
	switch name {
	case "value":
		*made = constant
	case "value_ints", "shape":
		*made = ints
	}
	return err
}

// constant checks a tensor and returns its values where it could be a shape.
func (w *walker) constant(f field) ([]int64, error) {
	t, err := w.tensor(f)
	return t.values, err
}

func (w *walker) initializer(f field, g *graph) error {
	t, err := w.tensor(f)
	if err != nil {
		return err
	}
	g.initialised[t.name] = true
	if t.values != nil {
		g.shapes[t.name] = t.values
	}
	return nil
}
