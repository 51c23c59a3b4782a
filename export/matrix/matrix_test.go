package matrix

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"mllm4rec/export/onnx"
	"mllm4rec/internal/testkit"
	"mllm4rec/runtime/ort"
	"mllm4rec/runtime/ort/orttest"
)

// drawn is a matrix that is kept in one form.
type drawn struct {
	values []float32
	form   Form
}

func (d drawn) Matrix(Matrix) ([]float32, error) { return append([]float32{}, d.values...), nil }
func (d drawn) Form(Matrix) Form                 { return d.form }
func (d drawn) Kept(Matrix) (Packed, error)      { panic("no form of the file's own is asked for") }

// TestProductsAreNear multiplies by a matrix of three blocks a row, in each precision and form, and compares with float64.
// Bounds are in parts of the largest result: a half and two hundredths steps of 4 and 8 bits over 96 numbers, and what
// float16 rounds.
func TestProductsAreNear(t *testing.T) {
	t.Parallel()
	const in, out, rows = 96, 40, 6
	random := rand.New(rand.NewPCG(5, 6))
	x, w := make([]float32, rows*in), make([]float32, out*in)
	for i := range x {
		x[i] = float32(random.NormFloat64())
	}
	for i := range w {
		w[i] = float32(random.NormFloat64()) + 0.3*float32(i%in/BlockSize)
	}
	want, peak := make([]float32, rows*out), 0.0
	for i := range want {
		sum := 0.0
		for k := range in {
			sum += float64(x[i/out*in+k]) * float64(w[i%out*in+k])
		}
		want[i], peak = float32(sum), max(peak, math.Abs(sum))
	}
	for _, c := range []struct {
		name      string
		precision Precision
		form      Form
		within    float64
	}{
		{"fp32", FP32, Whole, 1e-6},
		{"int8", INT8, Whole, 0.02},
		{"4-bit blocks", INT4, Made4, 0.1},
		{"8-bit blocks", INT4, Made8, 0.006},
		{"8-bit blocks and activations", INT4, Swift8, 0.01},
		{"no blocks", INT4, Whole, 1e-6},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := onnx.New("product")
			g.Metadata("mllm4rec.format", "1")
			g.Metadata("mllm4rec.kind", "captioner")
			products := testkit.Must(NewWriter(drawn{w, c.form}).Products(c.precision))(t)
			input := g.Input("x", onnx.Float32, onnx.Sym("batch"), onnx.Sym("length"), onnx.Num(in))
			g.Output("y", products(g, input, Matrix{Name: "w", Parts: []Part{{"w", out}}, In: in, Out: out})[0])
			path := filepath.Join(t.TempDir(), "product.onnx")
			if err := testkit.Must(g.Finish())(t).Write(t.Context(), path); err != nil {
				t.Fatal(err)
			}
			session := testkit.Must(ort.Open(path, orttest.Options(t)))(t)
			defer session.Close()
			got := make([]float32, rows*out)
			if err := session.Run(t.Context(), []ort.Value{lent(t, x, 2, rows/2, in)}, []ort.Value{lent(t, got, 2, rows/2, out)}); err != nil {
				t.Fatal(err)
			}
			d := apart(got, want) / peak
			t.Logf("off by %.4f of the largest result", d)
			if !(d <= c.within) {
				t.Errorf("off by %v of the largest result", d)
			}
		})
	}
}

func TestBlocksOf4BitsAreWithinHalfAStep(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for name, draw := range map[string]func() float32{
		"both signs":   func() float32 { return float32(random.NormFloat64()) },
		"all positive": func() float32 { return 5 + random.Float32() },
		"all equal":    func() float32 { return -3 },
		"zeros":        func() float32 { return 0 },
	} {
		numbers, packed := make([]float32, BlockSize), make([]byte, BlockSize/2)
		for i := range numbers {
			numbers[i] = draw()
		}
		scale, zero := block4(packed, numbers)
		if zero < 0 || zero > 15 || zero != float32(math.Trunc(float64(zero))) || !(scale > 0) {
			t.Errorf("%s: scale %v, zero %v", name, scale, zero)
		}
		for i, want := range numbers {
			q := packed[i/2] >> (i % 2 * 4) & 15
			// The ends of the range may lie half a step outside, because the zero is rounded.
			if got := scale * (float32(q) - zero); math.Abs(float64(got-want)) > 0.51*float64(scale) {
				t.Errorf("%s: number %d is %v, want %v in steps of %v", name, i, got, want, scale)
			}
		}
	}
}
