package modelfile

import (
	"fmt"
	"os"
)

// maxDepth is how deep subgraphs (of If, Loop, Scan) may nest. Ours nest once.
const maxDepth = 8

// walker goes over one model file. Field numbers are those of onnx.proto; each message has its method.
type walker struct {
	in     file
	folder *os.Root // the model's folder, out of which no external data may lead
	info   *Info
	depth  int
}

// model: 7 graph, 14 metadata_props, 25 functions.
func (w *walker) model() error {
	graphs := 0
	err := w.in.fields(span{0, w.in.size}, func(f field) error {
		switch f.number {
		case 7:
			// A second one would be merged into the first: what each says alone then proves nothing.
			if graphs++; graphs > 1 {
				return fmt.Errorf("two graphs in one file")
			}
			return w.graph(f)
		case 14:
			return w.metadata(f)
		case 25:
			return w.function(f)
		}
		return nil
	})
	if err == nil && graphs == 0 {
		return fmt.Errorf("not an ONNX file: it holds no graph")
	}
	return err
}

func (w *walker) metadata(f field) error {
	key, value, err := w.entry(f, MaxValue)
	if err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	if _, twice := w.info.Metadata[key]; twice {
		return fmt.Errorf("metadata: %s stands there twice", key)
	}
	w.info.Metadata[key] = value
	return nil
}

// each calls do with every field of the message f.
func (w *walker) each(f field, do func(field) error) error {
	if err := f.message(); err != nil {
		return err
	}
	return w.in.fields(f.span, do)
}

// entry: a StringStringEntryProto, 1 key, 2 value of at most so many bytes.
func (w *walker) entry(f field, most int64) (key, value string, err error) {
	err = w.each(f, func(f field) (err error) {
		switch f.number {
		case 1:
			key, err = w.in.text(f)
		case 2:
			value, err = w.in.longText(f, most)
		}
		return err
	})
	return key, value, err
}

// graph: 1 node, 5 initializer, 11 input, 12 output, 15 sparse_initializer.
func (w *walker) graph(f field) error {
	if w.depth++; w.depth > maxDepth {
		return fmt.Errorf("subgraphs nest deeper than %d", maxDepth)
	}
	defer func() { w.depth-- }()
	g := graph{shapes: map[string][]int64{}, initialised: map[string]bool{}}
	err := w.each(f, func(f field) error {
		switch f.number {
		case 1:
			return w.node(f, &g)
		case 5:
			return w.initializer(f, &g)
		case 11:
			return w.value(f, &g.inputs)
		case 12:
			return w.value(f, &g.outputs)
		case 15:
			return errSparse
		}
		return nil
	})
	if err != nil {
		return err
	}
	if w.depth == 1 {
		w.info.Inputs, w.info.Outputs = g.fed(), g.outputs
	}
	return g.checkAllocations()
}

// function: 7 node, 11 attribute_proto. A function's body is a list of nodes like a graph's.
func (w *walker) function(f field) error {
	g := graph{shapes: map[string][]int64{}}
	err := w.each(f, func(f field) error {
		switch f.number {
		case 7:
			return w.node(f, &g)
		case 11:
			return w.attribute(f, nil)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return g.checkAllocations()
}
