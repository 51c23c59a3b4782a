package onnx_test

import (
	"bytes"
	"strings"
	"testing"

	"mllm4rec/export/onnx"
)

var (
	batch = onnx.Sym("batch")
	none  = onnx.Value{}
)

// x23 is a graph with an input x float32 [2, 3].
func x23() (*onnx.Graph, onnx.Value) {
	g := onnx.New("test")
	return g, g.Input("x", onnx.Float32, onnx.Num(2), onnx.Num(3))
}

func TestWrongNodesAreNamedWithTheirShapes(t *testing.T) {
	t.Parallel()
	ints := []int64{1, 2, 3, 4}
	cases := map[string]func(g *onnx.Graph, x onnx.Value){
		"Add(x float32[2, 3], w float32[2]): dimensions 3 and 2 do not broadcast":    func(g *onnx.Graph, x onnx.Value) { g.Add(x, g.Float32("w", []int64{2}, make([]float32, 2))) },
		"Mul(x float32[2, 3], ids int64[4]): element types float32 and int64 differ": func(g *onnx.Graph, x onnx.Value) { g.Mul(x, g.Int64("ids", []int64{4}, ints)) },
		"MatMul(x float32[2, 3], x float32[2, 3]): inner dimensions 3 and 2 differ":  func(g *onnx.Graph, x onnx.Value) { g.MatMul(x, x) },
		"Gemm(x float32[2, 3], w float32[4, 2]): inner dimensions 3 and 2": func(g *onnx.Graph, x onnx.Value) {
			g.Gemm(x, g.Float32("w", []int64{4, 2}, make([]float32, 8)), none, true)
		},
		"Reshape(x float32[2, 3]) to [4, 2]: 6 elements cannot be 8":                      func(g *onnx.Graph, x onnx.Value) { g.Reshape(x, onnx.Num(4), onnx.Num(2)) },
		"Transpose(x float32[2, 3]): [0 0] is no order":                                   func(g *onnx.Graph, x onnx.Value) { g.Transpose(x, 0, 0) },
		"Concat(x float32[2, 3], y float32[3, 2]): shapes differ outside axis 0":          func(g *onnx.Graph, x onnx.Value) { g.Concat(0, x, g.Float32("y", []int64{3, 2}, make([]float32, 6))) },
		"Split(x float32[2, 3], const/ints_1_1 int64[2]): parts [1 1] do not make 3":      func(g *onnx.Graph, x onnx.Value) { g.Split(x, 1, 1, 1) },
		"Squeeze(x float32[2, 3], const/ints_0 int64[1]): dimension 2 is not 1":           func(g *onnx.Graph, x onnx.Value) { g.Squeeze(x, 0) },
		"Gather(x float32[2, 3], x float32[2, 3]): x float32[2, 3] must be [int64 int32]": func(g *onnx.Graph, x onnx.Value) { g.Gather(x, x, 0) },
		"ReduceSum(x float32[2, 3], const/ints_2 int64[1]): axis 2 of rank 2":             func(g *onnx.Graph, x onnx.Value) { g.ReduceSum(x, 2, true) },
		"w float32[2] must have shape [3]": func(g *onnx.Graph, x onnx.Value) {
			g.LayerNorm(x, g.Float32("w", []int64{2}, make([]float32, 2)), none, 1e-5)
		},
		"TopK(x float32[2, 3], const/ints_4 int64[1]): cannot take 4 of 3":                    func(g *onnx.Graph, x onnx.Value) { g.TopK(x, g.Ints(4), 1, onnx.Num(4)) },
		"Where(x float32[2, 3], x float32[2, 3], x float32[2, 3]): x float32[2, 3] must be [": func(g *onnx.Graph, x onnx.Value) { g.Where(x, x, x) },
		"layer: Exp(const/int_1 int64[]): needs a floating-point type":                        func(g *onnx.Graph, _ onnx.Value) { g.Scope("layer").Exp(g.Int(1)) },
		"weight w: 3 values do not fill shape [2]":                                            func(g *onnx.Graph, _ onnx.Value) { g.Float32("w", []int64{2}, make([]float32, 3)) },
		"negative or overflows":                    func(g *onnx.Graph, _ onnx.Value) { g.Stream("w", onnx.Float32, []int64{1 << 40, 1 << 40}, nil) },
		`the name "x" is taken`:                    func(g *onnx.Graph, _ onnx.Value) { g.Input("x", onnx.Float32) },
		"no value has dimension length":            func(g *onnx.Graph, _ onnx.Value) { g.SizeOf(onnx.Sym("length")) },
		"x float32[2, 3] cannot have shape [2, 4]": func(g *onnx.Graph, x onnx.Value) { g.Assume(x, onnx.Num(2), onnx.Num(4)) },
		"belongs to another graph":                 func(g *onnx.Graph, _ onnx.Value) { _, y := x23(); g.Neg(y) },
		"one branch returns 1 values, the other 0": func(g *onnx.Graph, x onnx.Value) {
			g.If(g.Equal(g.Int(1), g.Int(1)), func(*onnx.Graph) []onnx.Value { return []onnx.Value{x} }, func(*onnx.Graph) []onnx.Value { return nil })
		},
		"comes back as": func(g *onnx.Graph, x onnx.Value) {
			g.Loop(g.Int(3), []onnx.Value{x}, func(b *onnx.Graph, i onnx.Value, states []onnx.Value) (onnx.Value, []onnx.Value) {
				return b.Less(i, g.Int(9)), []onnx.Value{b.ReduceSum(states[0], 1, true)}
			})
		},
	}
	for want, build := range cases {
		g, x := x23()
		build(g, x)
		if _, err := g.Finish(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
}

func TestWhatFollowsFromAnErrorIsNotReported(t *testing.T) {
	t.Parallel()
	g, x := x23()
	wrong := g.MatMul(x, x)
	_, stacks := g.Scan([]onnx.Value{wrong}, []onnx.Value{x}, func(b *onnx.Graph, states, slices []onnx.Value) (next, out []onnx.Value) {
		return states, slices
	})
	g.Output("y", g.Reshape(g.Add(g.Gelu(wrong), x), batch, onnx.Num(9)))
	_, err := g.Finish()
	if err == nil || strings.Count(err.Error(), "\n") != 0 {
		t.Errorf("%v; want the one error of MatMul", err)
	}
	_ = stacks
}

func TestFailingGraphCanBePrinted(t *testing.T) {
	t.Parallel()
	g, x := x23()
	y := g.Scope("layer").Softmax(x, 1)
	g.MatMul(y, y)
	var b bytes.Buffer
	if err := g.Print(&b); err != nil {
		t.Fatal(err)
	}
	if want := "layer/Softmax_1 float32[2, 3] = Softmax(x) {axis=1}\n"; !strings.Contains(b.String(), want) {
		t.Errorf("%q is not in\n%s", want, b.String())
	}
}

func TestNamedDimensionsAreChecked(t *testing.T) {
	t.Parallel()
	g := onnx.New("test")
	x := g.Input("x", onnx.Float32, batch, onnx.Sym("length"), onnx.Num(8))
	heads := g.Transpose(g.Reshape(x, batch, onnx.Sym("length"), onnx.Num(2), onnx.Num(4)), 0, 2, 1, 3)
	scores := g.MatMul(heads, g.Transpose(heads, 0, 1, 3, 2))
	if got := scores.Shape().String(); got != "[batch, 2, length, length]" {
		t.Errorf("scores have shape %s", got)
	}
	rows := g.Reshape(heads, onnx.Sym("rows"), onnx.Num(4))
	g.Output("y", g.Reshape(rows, batch, onnx.Num(2), onnx.Sym("length"), onnx.Num(4)))
	if err := g.Err(); err != nil {
		t.Fatal(err)
	}
	g.Add(x, g.Input("z", onnx.Float32, batch, onnx.Sym("past"), onnx.Num(8)))
	if err := g.Err(); err == nil || !strings.Contains(err.Error(), "length and past do not broadcast") {
		t.Errorf("%v; want length and past to differ", err)
	}
}
