package onnx

import (
	"io"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"mllm4rec/internal/onnxpb"
)

// Model is a finished graph. Its weights are still where they come from: Write reads them.
type Model struct {
	proto        *onnxpb.ModelProto // without initializers
	initializers []*initializer
}

// Finish ends the building and returns the model, or what was wrong.
func (g *Graph) Finish() (*Model, error) {
	if len(g.proto.Output) == 0 && len(g.model.errs) == 0 {
		g.fail("the model has no output")
	}
	if err := g.Err(); err != nil {
		return nil, err
	}
	return g.unchecked(), nil
}

// unchecked is the model as it stands, for printing what is wrong with it.
func (g *Graph) unchecked() *Model {
	opsets := []*onnxpb.OperatorSetIdProto{{Domain: proto.String(""), Version: proto.Int64(opset)}}
	if g.model.contrib {
		opsets = append(opsets, &onnxpb.OperatorSetIdProto{Domain: proto.String(contribDomain), Version: proto.Int64(contribVersion)})
	}
	m := &onnxpb.ModelProto{
		IrVersion:    proto.Int64(irVersion),
		ProducerName: proto.String("mllm4rec"),
		OpsetImport:  opsets,
		Graph:        g.model.root.proto,
	}
	for _, key := range slices.Sorted(maps.Keys(g.model.metadata)) {
		m.MetadataProps = append(m.MetadataProps, &onnxpb.StringStringEntryProto{
			Key: proto.String(key), Value: proto.String(g.model.metadata[key]),
		})
	}
	return &Model{proto: m, initializers: g.model.initializers}
}

// Print writes what has been built so far, one node a line, also where it has errors.
func (g *Graph) Print(w io.Writer) error { return g.unchecked().Print(w) }

// Print writes the model, one node a line.
func (m *Model) Print(w io.Writer) error {
	shown := proto.CloneOf(m.proto)
	for _, i := range m.initializers {
		shown.Graph.Initializer = append(shown.Graph.Initializer, i.header())
	}
	return Print(w, shown)
}

// WeightBytes is the size of all weights.
func (m *Model) WeightBytes() int64 {
	var n int64
	for _, i := range m.initializers {
		n += i.bytes
	}
	return n
}

// header is the initializer without its bytes.
func (i *initializer) header() *onnxpb.TensorProto {
	return &onnxpb.TensorProto{Name: proto.String(i.name), DataType: proto.Int32(int32(i.dtype)), Dims: i.dims}
}
