package onnx

import (
	"encoding/json"
	"io"

	"mllm4rec/internal/onnxpb"
)

// description is the JSON form of Describe.
type description struct {
	Format    string            `json:"format"`
	IRVersion int64             `json:"ir_version"`
	Producer  string            `json:"producer"`
	Operators map[string]int64  `json:"operators"`
	Metadata  map[string]string `json:"metadata"`
	Inputs    []describedValue  `json:"inputs"`
	Outputs   []describedValue  `json:"outputs"`
	Weights   []describedWeight `json:"weights"`
	Nodes     []describedNode   `json:"nodes"`
}

type describedValue struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

type describedWeight struct {
	Name     string            `json:"name"`
	Type     string            `json:"type"`
	External map[string]string `json:"external,omitempty"`
}

type describedNode struct {
	Op      string   `json:"op"`
	Domain  string   `json:"domain,omitempty"`
	Name    string   `json:"name"`
	Inputs  []string `json:"inputs"`
	Outputs []string `json:"outputs"`
}

// Describe writes what the ONNX file at path holds: as text, one node a line (Print), or as one JSON object with the
// nodes of the outermost graph. It reads no weights and opens no data file.
func Describe(w io.Writer, path string, asJSON bool) error {
	model, err := ReadStructure(path)
	if err != nil {
		return err
	}
	if !asJSON {
		return Print(w, model)
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(describe(model))
}

func describe(model *onnxpb.ModelProto) description {
	d := description{
		Format: "onnx", IRVersion: model.GetIrVersion(), Producer: model.GetProducerName(),
		Operators: map[string]int64{}, Metadata: map[string]string{}, Weights: []describedWeight{}, Nodes: []describedNode{},
	}
	for _, o := range model.GetOpsetImport() {
		d.Operators[o.GetDomain()] = o.GetVersion()
	}
	for _, m := range model.GetMetadataProps() {
		d.Metadata[m.GetKey()] = m.GetValue()
	}
	g := model.GetGraph()
	d.Inputs, d.Outputs = describeValues(g.GetInput()), describeValues(g.GetOutput())
	for _, t := range g.GetInitializer() {
		d.Weights = append(d.Weights, describedWeight{t.GetName(), tensorText(t), external(t)})
	}
	for _, n := range g.GetNode() {
		d.Nodes = append(d.Nodes, describedNode{n.GetOpType(), n.GetDomain(), n.GetName(), n.GetInput(), n.GetOutput()})
	}
	return d
}

func describeValues(values []*onnxpb.ValueInfoProto) []describedValue {
	described := []describedValue{}
	for _, v := range values {
		described = append(described, describedValue{v.GetName(), typeText(v.GetType())})
	}
	return described
}

// external is where a weight of a data file lies; nil where it is in the model.
func external(t *onnxpb.TensorProto) map[string]string {
	if t.GetDataLocation() != onnxpb.TensorProto_EXTERNAL {
		return nil
	}
	entries := map[string]string{}
	for _, e := range t.GetExternalData() {
		entries[e.GetKey()] = e.GetValue()
	}
	return entries
}
