package onnx

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"mllm4rec/internal/fail"
	"mllm4rec/internal/onnxpb"
)

// sample is a small model's file, with metadata, a weight and a subgraph.
func sample(t testing.TB) []byte {
	t.Helper()
	g := New("sample")
	g.Metadata("key", "a\x1b[31mvalue")
	x := g.Input("x", Float32, Sym("batch"), Num(3))
	y := g.Add(x, g.Float32("weight", []int64{3}, []float32{1, 2, 3}))
	y = g.If(g.Greater(g.SizeOf(Sym("batch")), g.Ints(1)), func(g *Graph) []Value { return []Value{g.Exp(y)} }, func(*Graph) []Value { return []Value{y} })[0]
	g.Output("y", y)
	m, err := g.Finish()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := m.Write(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func save(t testing.TB, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDescribeShowsNodesWeightsAndMetadata(t *testing.T) {
	t.Parallel()
	path := save(t, sample(t))
	var text bytes.Buffer
	if err := Describe(&text, path, false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"IR version 10", `operators "" version 21`, `metadata "key" = "a\x1b[31mvalue"`, "input x float32[batch, 3]\n", "weight weight float32[3]\n",
		"Add_1 float32[batch, 3] = Add(x, weight)\n", "    then_4/Exp_5 float32[batch, 3] = Exp(Add_1)\n", "output y float32[batch, 3]\n",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in\n%s", want, text.String())
		}
	}
	text.Reset()
	if err := Describe(&text, path, true); err != nil {
		t.Fatal(err)
	}
	var d description
	if err := json.Unmarshal(text.Bytes(), &d); err != nil {
		t.Fatal(err)
	}
	if d.Weights[0].Type != "float32[3]" || d.Nodes[0].Op != "Add" || d.Outputs[0].Type != "float32[batch, 3]" || d.Operators[""] != 21 {
		t.Errorf("%+v", d)
	}
}

func TestWeightsAreNotRead(t *testing.T) {
	t.Parallel()
	m := &onnxpb.ModelProto{Graph: &onnxpb.GraphProto{Initializer: []*onnxpb.TensorProto{{
		Name: proto.String("w"), RawData: make([]byte, 2*maxStructure), FloatData: make([]float32, maxStructure),
	}}}}
	text, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadStructure(save(t, text))
	if err != nil {
		t.Fatal(err)
	}
	if w := got.Graph.Initializer[0]; w.GetName() != "w" || w.RawData != nil || w.FloatData != nil {
		t.Errorf("the weight came with %d bytes", len(w.RawData))
	}
}

// inside puts a message into fields, the outermost first.
func inside(message []byte, fields ...protowire.Number) []byte {
	for _, field := range slices.Backward(fields) {
		message = protowire.AppendBytes(protowire.AppendTag(nil, field, protowire.BytesType), message)
	}
	return message
}

func TestUnsoundModelsAreRefusedSayingWhy(t *testing.T) {
	t.Parallel()
	sound := sample(t)
	huge := append([]byte{0x3a, 0xff, 0xff, 0xff, 0xff, 0x7f}, sound...)
	for name, c := range map[string]struct {
		bytes []byte
		want  string
	}{
		"empty":                       {nil, "holds no graph"},
		"cut":                         {sound[:len(sound)-9], "bytes where"},
		"text":                        {[]byte("hello, world"), "not a sound ONNX file"},
		"field longer than the file":  {huge, "bytes where"},
		"two graphs":                  {append(bytes.Clone(sound), sound...), "two graphs"},
		"endless fields":              {bytes.Repeat([]byte{0x0a, 0x00}, maxStructure), "MiB beside its weights"},
		"endless nodes of a subgraph": {inside(bytes.Repeat([]byte{0x0a, 0x00}, 3<<20), 7, 1, 5, 6), "MiB beside its weights"},
		"endless nodes of a function": {inside(bytes.Repeat([]byte{0x3a, 0x00}, 3<<20), 25), "MiB beside its weights"},
		"endless training nodes":      {inside(bytes.Repeat([]byte{0x0a, 0x00}, 3<<20), 20, 1), "MiB beside its weights"},
		"subgraphs without an end":    {inside(nil, append([]protowire.Number{7}, slices.Repeat([]protowire.Number{1, 5, 6}, 200)...)...), "more than 200 deep"},
		"structure beyond all bounds": {append([]byte{0x32, 0x80, 0x80, 0x80, 0x10}, make([]byte, 2*maxStructure)...), "MiB beside its weights"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := save(t, c.bytes)
			if _, err := ReadStructure(path); err == nil || !strings.Contains(err.Error(), c.want) || !fail.IsUsage(err) {
				t.Errorf("%v; want a usage error with %q", err, c.want)
			}
		})
	}
}

// FuzzDescribe: whatever the bytes, the file is refused or shown, in bounded memory.
func FuzzDescribe(f *testing.F) {
	f.Add(sample(f))
	f.Add([]byte{0x3a, 0x02, 0x2a, 0x00})
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 1<<16 {
			t.Skip("larger files add nothing but time")
		}
		path := save(t, text)
		var out bytes.Buffer
		for _, asJSON := range []bool{false, true} {
			if err := Describe(&out, path, asJSON); err != nil && !fail.IsUsage(err) {
				t.Fatal(err)
			}
		}
	})
}
