package onnx_test

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"mllm4rec/export/onnx"
	"mllm4rec/runtime/ort"
	"mllm4rec/runtime/ort/orttest"
)

// operation is a graph of x = [[1 2 3] [4 5 6]], float32 of shape [batch, 3], and what it must give.
type operation struct {
	name  string
	build func(g *onnx.Graph, x onnx.Value) onnx.Value
	want  []float32
	// runtimeOnly: ONNX itself does not know the operator.
	runtimeOnly bool
}

func vector(g *onnx.Graph, values ...float32) onnx.Value {
	return g.Float32("v", []int64{int64(len(values))}, values)
}

func float(g *onnx.Graph, v onnx.Value) onnx.Value { return g.Cast(v, onnx.Float32) }

var operations = []operation{
	{name: "Add", build: func(g *onnx.Graph, x onnx.Value) onnx.Value { return g.Add(x, vector(g, 1, 0, -1)) }, want: []float32{2, 2, 2, 5, 5, 5}},
	{name: "Sub", build: func(g *onnx.Graph, x onnx.Value) onnx.Value { return g.Sub(x, g.Scalar(1)) }, want: []float32{0, 1, 2, 3, 4, 5}},
	{name: "Mul", build: func(g *onnx.Graph, x onnx.Value) onnx.Value { return g.Mul(x, x) }, want: []float32{1, 4, 9, 16, 25, 36}},
	{name: "Div", build: func(g *onnx.Graph, x onnx.Value) onnx.Value { return g.Div(x, g.Scalar(2)) }, want: []float32{.5, 1, 1.5, 2, 2.5, 3}},
	{name: "Mod", build: func(g *onnx.Graph, x onnx.Value) onnx.Value {
		return float(g, g.Mod(g.Neg(g.Cast(x, onnx.Int64)), g.Int(4)))
	}, want: []float32{3, 2, 1, 0, 3, 2}},
	{name: "Pow", build: func(g *onnx.Graph, x onnx.Value) onnx.Value { return g.Pow(x, g.Scalar(2)) }, want: []float32{1, 4, 9, 16, 25, 36}},
	{name: "Min and Max", build: func(g *onnx.Graph, x onnx.Value) onnx.Value { return g.Max(g.Min(x, g.Scalar(5)), g.Scalar(2)) }, want: []float32{2, 2, 3, 4, 5, 5}},
	{name: "Equal, Less, Or, Not", build: func(g *onnx.Graph, x onnx.Value) onnx.Value {
		return float(g, g.Not(g.Or(g.Equal(x, g.Scalar(2)), g.Less(x, g.Scalar(2)))))
	}, want: []float32{0, 0, 1, 1, 1, 1}},
	{name: "LessOrEqual, Greater, GreaterOrEqual, And", build: func(g *onnx.Graph, x onnx.Value) onnx.Value {
		return float(g, g.And(g.And(g.LessOrEqual(x, g.Scalar(5)), g.Greater(x, g.Scalar(1))), g.GreaterOrEqual(x, g.Scalar(3))))
	}, want: []float32{0, 0, 1, 1, 1, 0}},
	{name: "Exp, Sqrt", build: func(g *onnx.Graph, x onnx.Value) onnx.Value { return g.Sqrt(g.Exp(x)) }, want: []float32{1.64872, 2.71828, 4.48169, 7.38906, 12.18249, 20.08554}},
	{name: "Cos, Sin", build: func(g *onnx.Graph, x onnx.Value) onnx.Value {
		return g.Add(g.Pow(g.Cos(x), g.Scalar(2)), g.Pow(g.Sin(x), g.Scalar(2)))
	}, want: []float32{1, 1, 1, 1, 1, 1}},
	{name: "Relu", build: func(g *onnx.Graph, x onnx.Value) onnx.Value { return g.Relu(g.Sub(x, g.Scalar(4))) }, want: []float32{0, 0, 0, 0, 1, 2}},
	{name: "Gelu", build: func(g *onnx.Graph, x onnx.Value) onnx.Value { return g.Gelu(g.Sub(x, g.Scalar(3))) }, want: []float32{-.0455, -.158655, 0, .841345, 1.9545, 2.99595}},
	{name: "GeluTanh", build: func(g *onnx.Graph, x onnx.Value) onnx.Value { return g.GeluTanh(g.Sub(x, g.Scalar(3))) }, want: []float32{-.0454023, -.158808, 0, .841192, 1.954598, 2.996363}},
	{name: "LogSoftmax", build: func(g *onnx.Graph, x onnx.Value) onnx.Value { return g.Exp(g.LogSoftmax(x, 1)) }, want: []float32{.090031, .244728, .665241, .090031, .244728, .665241}},
	{name: "ConvPatches", build: func(g *onnx.Graph, x onnx.Value) onnx.Value { // of 4 × 5 pictures: the last column is left over
		x = g.Reshape(g.Concat(1, x, x, x, x, x, x, g.Slice(x, 1, 0, 2)), batch, onnx.Num(1), onnx.Num(4), onnx.Num(5))
		w := g.Float32("w", []int64{1, 1, 2, 2}, []float32{1, 10, 100, 1000})
		return g.ConvPatches(x, w, g.Float32("b", []int64{1}, []float32{0}))
	}, want: []float32{1321, 3213, 2132, 1321, 4654, 6546, 5465, 4654}},
	{name: "MultiHeadAttention", runtimeOnly: true, build: func(g *onnx.Graph, x onnx.Value) onnx.Value {
		key := g.Unsqueeze(x, 0) // one row of two positions, three heads of one number
		query := g.Float32("q", []int64{1, 1, 3}, []float32{0, 100, -100})
		return g.MultiHeadAttention(query, key, key, 3)
	}, want: []float32{2.5, 5, 3}},
	{name: "CausalAttention", runtimeOnly: true, build: func(g *onnx.Graph, x onnx.Value) onnx.Value {
		past := g.Unsqueeze(g.Unsqueeze(g.Slice(x, 1, 0, 1), 0), 0) // one row, one head, two past positions of 1 and 4
		fed := g.Float32("q", []int64{1, 2, 1}, []float32{0, 7})
		mixed, keys, _ := g.CausalAttention(fed, fed, fed, past, past, onnx.Num(4), 1)
		return g.Concat(1, mixed, g.Squeeze(keys, 0))
	}, want: []float32{1.666667, 7, 1, 4, 0, 7}},
	{name: "Softmax", build: func(g *onnx.Graph, x onnx.Value) onnx.Value { return g.Softmax(x, 1) }, want: []float32{.090031, .244728, .665241, .090031, .244728, .665241}},
	{name: "Where", build: func(g *onnx.Graph, x onnx.Value) onnx.Value { return g.Where(g.Less(x, g.Scalar(3)), x, g.Scalar(0)) }, want: []float32{1, 2, 0, 0, 0, 0}},
	{name: "MatMul", build: func(g *onnx.Graph, x onnx.Value) onnx.Value {
		return g.MatMul(x, g.Float32("w", []int64{3, 1}, []float32{1, 10, 100}))
	}, want: []float32{321, 654}},
	{name: "Gemm", build: func(g *onnx.Graph, x onnx.Value) onnx.Value {
		return g.Gemm(x, g.Float32("w", []int64{1, 3}, []float32{1, 10, 100}), vector(g, 1), true)
	}, want: []float32{322, 655}},
	{name: "Reshape to a computed shape", build: func(g *onnx.Graph, x onnx.Value) onnx.Value {
		return g.Reshape(g.Reshape(x, onnx.Sym("all")), onnx.Num(3), onnx.Sym("batch"), onnx.Num(1))
	}, want: []float32{1, 2, 3, 4, 5, 6}},
	{name: "Transpose, Unsqueeze, Squeeze", build: func(g *onnx.Graph, x onnx.Value) onnx.Value {
		return g.Transpose(g.Squeeze(g.Unsqueeze(x, 1), 1), 1, 0)
	}, want: []float32{1, 4, 2, 5, 3, 6}},
	{name: "Concat, Split", build: func(g *onnx.Graph, x onnx.Value) onnx.Value {
		parts := g.Split(x, 1, 1, 2)
		return g.Concat(1, parts[1], parts[0])
	}, want: []float32{2, 3, 1, 5, 6, 4}},
	{name: "Slice", build: func(g *onnx.Graph, x onnx.Value) onnx.Value { return g.Slice(x, 1, -2, onnx.SliceToEnd) }, want: []float32{2, 3, 5, 6}},
	{name: "PadFront", build: func(g *onnx.Graph, x onnx.Value) onnx.Value {
		return g.PadFront(x, 1, g.SizeOf(batch), onnx.Num(5))
	}, want: []float32{0, 0, 1, 2, 3, 0, 0, 4, 5, 6}},
	{name: "Expand", build: func(g *onnx.Graph, x onnx.Value) onnx.Value { return g.Expand(vector(g, 7), batch, onnx.Num(2)) }, want: []float32{7, 7, 7, 7}},
	{name: "Range", build: func(g *onnx.Graph, x onnx.Value) onnx.Value {
		return float(g, g.Range(g.Int(1), g.Int(5), onnx.Num(4)))
	}, want: []float32{1, 2, 3, 4}},
	{name: "Gather", build: func(g *onnx.Graph, x onnx.Value) onnx.Value { return g.Gather(x, g.Ints(2, 0), 1) }, want: []float32{3, 1, 6, 4}},
	{name: "GatherRows", build: func(g *onnx.Graph, x onnx.Value) onnx.Value {
		return g.GatherRows(x, g.ArgMax(x, 1, false))
	}, want: []float32{3, 6}},
	{name: "GatherElements", build: func(g *onnx.Graph, x onnx.Value) onnx.Value {
		return g.GatherElements(x, g.Int64("at", []int64{2, 1}, []int64{2, 0}), 1)
	}, want: []float32{3, 4}},
	{name: "ScatterElements", build: func(g *onnx.Graph, x onnx.Value) onnx.Value {
		return g.ScatterElements(x, g.Int64("at", []int64{2, 1}, []int64{2, 0}), g.Float32("u", []int64{2, 1}, []float32{8, 9}), 1)
	}, want: []float32{1, 2, 8, 9, 5, 6}},
	{name: "LayerNorm", build: func(g *onnx.Graph, x onnx.Value) onnx.Value {
		return g.LayerNorm(x, vector(g, 1, 1, 2), g.Float32("b", []int64{3}, []float32{0, 1, 0}), 0)
	}, want: []float32{-1.224745, 1, 2.449490, -1.224745, 1, 2.449490}},
	{name: "RMSNorm", runtimeOnly: true, build: func(g *onnx.Graph, x onnx.Value) onnx.Value {
		return g.RMSNorm(x, vector(g, 1, 1, 1), 0)
	}, want: []float32{.46291, .92582, 1.38873, .78954, .98693, 1.18431}},
	{name: "SkipRMSNorm", runtimeOnly: true, build: func(g *onnx.Graph, x onnx.Value) onnx.Value {
		x = g.Unsqueeze(x, 0)
		normed, sum := g.SkipRMSNorm(x, x, vector(g, 1, 1, 1), 0)
		return g.Sub(sum, normed)
	}, want: []float32{1.53709, 3.07418, 4.61127, 7.21046, 9.01307, 10.81569}},
	{name: "SkipLayerNorm", runtimeOnly: true, build: func(g *onnx.Graph, x onnx.Value) onnx.Value {
		x = g.Unsqueeze(x, 0)
		normed, sum := g.SkipLayerNorm(x, x, vector(g, 1, 1, 2), g.Float32("b", []int64{3}, []float32{0, 1, 0}), 0)
		return g.Sub(sum, normed)
	}, want: []float32{3.224745, 3, 3.550510, 9.224745, 9, 9.550510}},
	{name: "QuickGelu", runtimeOnly: true, build: func(g *onnx.Graph, x onnx.Value) onnx.Value { return g.QuickGelu(x, 1) }, want: []float32{.731059, 1.761594, 2.857722, 3.928055, 4.966536, 5.985164}},
	{name: "QuantizeLinear", build: func(g *onnx.Graph, x onnx.Value) onnx.Value {
		return float(g, g.QuantizeLinear(x, vector(g, .5, 2), g.Raw("zero", onnx.Uint8, []int64{2}, []byte{10, 10}), 0))
	}, want: []float32{12, 14, 16, 12, 12, 13}},
	{name: "MatMulIntegerToFloat", runtimeOnly: true, build: func(g *onnx.Graph, x onnx.Value) onnx.Value {
		w := g.Raw("w", onnx.Int8, []int64{3, 2}, []byte{1, 255, 2, 0, 3, 0}) // 255 is −1
		return g.MatMulIntegerToFloat(g.Cast(x, onnx.Uint8), w, g.Scalar(2), vector(g, 1, .5), g.Byte(1))
	}, want: []float32{16, 0, 52, -3}},
	{name: "MatMulNBits", runtimeOnly: true, build: func(g *onnx.Graph, x onnx.Value) onnx.Value {
		x = g.PadFront(x, 1, g.Ints(13), onnx.Num(16))
		packed := g.Raw("w", onnx.Uint8, []int64{1, 1, 8}, []byte{0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe})
		return g.MatMulNBits(x, onnx.Blocks{Packed: packed, Scales: vector(g, .5), N: 1, K: 16, Block: 16, Bits: 4})
	}, want: []float32{19, 46}},
	{name: "ReduceSum", build: func(g *onnx.Graph, x onnx.Value) onnx.Value { return g.ReduceSum(x, 0, false) }, want: []float32{5, 7, 9}},
	{name: "ReduceMax", build: func(g *onnx.Graph, x onnx.Value) onnx.Value { return g.ReduceMax(x, 1, false) }, want: []float32{3, 6}},
	{name: "ReduceMin", build: func(g *onnx.Graph, x onnx.Value) onnx.Value { return g.ReduceMin(x, 0, true) }, want: []float32{1, 2, 3}},
	{name: "ArgMax", build: func(g *onnx.Graph, x onnx.Value) onnx.Value { return float(g, g.ArgMax(x, 1, false)) }, want: []float32{2, 2}},
	{name: "CumSum", build: func(g *onnx.Graph, x onnx.Value) onnx.Value { return g.CumSum(x, 1) }, want: []float32{1, 3, 6, 4, 9, 15}},
	{name: "TopK", build: func(g *onnx.Graph, x onnx.Value) onnx.Value {
		values, ids := g.TopK(x, g.Ints(2), 1, onnx.Num(2))
		return g.Add(values, g.Mul(float(g, ids), g.Scalar(10)))
	}, want: []float32{23, 12, 26, 15}},
	{name: "If", build: func(g *onnx.Graph, x onnx.Value) onnx.Value {
		return g.If(g.Greater(g.SizeOf(batch), g.Ints(1)),
			func(g *onnx.Graph) []onnx.Value { return []onnx.Value{g.Neg(x)} },
			func(*onnx.Graph) []onnx.Value { return []onnx.Value{x} })[0]
	}, want: []float32{-1, -2, -3, -4, -5, -6}},
	{name: "Scan", build: func(g *onnx.Graph, x onnx.Value) onnx.Value {
		last, sums := g.Scan([]onnx.Value{g.Expand(g.Scalar(0), onnx.Num(3))}, []onnx.Value{x},
			func(b *onnx.Graph, states, slices []onnx.Value) (next, out []onnx.Value) {
				sum := b.Add(states[0], slices[0])
				return []onnx.Value{sum}, []onnx.Value{sum}
			})
		return g.Mul(sums[0], last[0])
	}, want: []float32{5, 14, 27, 25, 49, 81}},
	{name: "Loop over a state that grows", build: func(g *onnx.Graph, x onnx.Value) onnx.Value {
		grown := g.Loop(g.Int(2), []onnx.Value{g.Assume(x, batch, onnx.Dim{})}, func(b *onnx.Graph, _ onnx.Value, states []onnx.Value) (onnx.Value, []onnx.Value) {
			v := b.Assume(states[0], batch, onnx.Sym("width")) // 3, then 4
			width := b.Expand(b.Cast(b.SizeOf(onnx.Sym("width")), onnx.Float32), batch, onnx.Num(1))
			return b.Less(b.Int(0), b.Int(1)), []onnx.Value{b.Concat(1, v, width)}
		})
		return g.Assume(grown[0], batch, onnx.Num(5))
	}, want: []float32{1, 2, 3, 3, 4, 4, 5, 6, 3, 4}},
	{name: "Loop", build: func(g *onnx.Graph, x onnx.Value) onnx.Value {
		return g.Loop(g.Int(9), []onnx.Value{x}, func(b *onnx.Graph, i onnx.Value, states []onnx.Value) (onnx.Value, []onnx.Value) {
			return b.Less(i, g.Int(2)), []onnx.Value{b.Add(states[0], states[0])}
		})[0]
	}, want: []float32{8, 16, 24, 32, 40, 48}},
}

// file builds the operation's model and writes it.
func (o operation) file(t *testing.T) string {
	t.Helper()
	g := onnx.New(o.name)
	g.Metadata("mllm4rec.format", "1")
	g.Metadata("mllm4rec.kind", "retriever")
	g.Output("y", o.build(g, g.Input("x", onnx.Float32, batch, onnx.Num(3))))
	model, err := g.Finish()
	if err != nil {
		t.Fatalf("%s: %v", o.name, err)
	}
	path := filepath.Join(t.TempDir(), "model.onnx")
	if err := model.Write(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOperatorsComputeOnONNXRuntime(t *testing.T) {
	t.Parallel()
	for _, o := range operations {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			session, err := ort.Open(o.file(t), orttest.Options(t))
			if err != nil {
				t.Fatal(err)
			}
			defer session.Close()
			got := make([]float32, len(o.want))
			if err := compute(t, session, got); err != nil {
				t.Fatal(err)
			}
			for i := range got {
				if !(math.Abs(float64(got[i]-o.want[i])) <= 1e-5) {
					t.Fatalf("got %v, want %v", got, o.want)
				}
			}
		})
	}
}

// compute runs the model on x; the shape of its output is that of the model, with 2 for batch.
func compute(t *testing.T, session *ort.Session, got []float32) error {
	x, err := ort.NewTensor([]float32{1, 2, 3, 4, 5, 6}, 2, 3)
	if err != nil {
		return err
	}
	defer x.Close()
	var shape []int64
	for _, d := range session.Model().Outputs[0].Shape {
		n, err := strconv.ParseInt(d, 10, 64)
		if err != nil {
			n = 2
		}
		shape = append(shape, n)
	}
	y, err := ort.NewTensor(got, shape...)
	if err != nil {
		return fmt.Errorf("%v: %w", shape, err)
	}
	defer y.Close()
	return session.Run(t.Context(), []ort.Value{x}, []ort.Value{y})
}

func TestONNXCheckerAcceptsEveryOperator(t *testing.T) {
	t.Parallel()
	var paths []string
	for _, o := range operations {
		if !o.runtimeOnly {
			paths = append(paths, o.file(t))
		}
	}
	check(t, paths...)
}

// check has ONNX's own checker and strict shape inference look at models. It skips the test where Python has no onnx.
func check(t *testing.T, paths ...string) {
	t.Helper()
	bin, err := exec.LookPath(cmp.Or(os.Getenv("MLLM4REC_PYTHON"), "python3"))
	if err == nil {
		err = exec.CommandContext(t.Context(), bin, "-c", "import onnx").Run()
	}
	if err != nil {
		t.Skip("needs Python with onnx: set MLLM4REC_PYTHON")
	}
	out, err := exec.CommandContext(t.Context(), bin, append([]string{"-c", `
import onnx, sys
for path in sys.argv[1:]:
    onnx.checker.check_model(path, full_check=True)
    onnx.shape_inference.infer_shapes(onnx.load(path), check_type=True, strict_mode=True, data_prop=True)
`}, paths...)...).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
