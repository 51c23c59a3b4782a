package matrix

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"mllm4rec/export/onnx"
	"mllm4rec/internal/testkit"
	"mllm4rec/runtime/ort"
	"mllm4rec/runtime/ort/orttest"
)

// apart is the largest difference.
func apart(got, want []float32) float64 {
	largest := 0.0
	for i := range want {
		if d := math.Abs(float64(got[i]) - float64(want[i])); !(d <= largest) {
			largest = d
		}
	}
	return largest
}

func lent(t testing.TB, data []float32, shape ...int64) ort.Value {
	t.Helper()
	v := testkit.Must(ort.NewTensor(data, shape...))(t)
	t.Cleanup(v.Close)
	return v
}

func TestTurningTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	for _, block := range []int{1, 2, 16, 32} {
		values := make([]float32, 3*block)
		for i := range values {
			values[i] = float32(i%7) - 2.5
		}
		turned := slices.Clone(values)
		turn(turned, block)
		if block > 1 && apart(turned, values) < 0.1 {
			t.Errorf("block %d: nothing was turned", block)
		}
		turn(turned, block)
		if d := apart(turned, values); !(d <= 1e-5) { // rounding of float32
			t.Errorf("block %d: turned twice, values differ by %v", block, d)
		}
	}
}

func TestTurningSpreadsAnOutlier(t *testing.T) {
	t.Parallel()
	values := make([]float32, 64)
	values[37] = 32
	turn(values, 32)
	for i, v := range values {
		if want := math.Sqrt(32) * float64(i/32); math.Abs(math.Abs(float64(v))-want) > 1e-5 {
			t.Errorf("place %d holds %v, want %v or its negative", i, v, want)
		}
	}
}

func TestStepsOf8BitsAreFineAndPairsBounded(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for name, draw := range map[string]func(i int) float32{
		"normal":       func(int) float32 { return float32(random.NormFloat64()) },
		"all equal":    func(int) float32 { return -3 },
		"one outlier":  func(i int) float32 { return map[bool]float32{true: 50, false: float32(random.NormFloat64())}[i == 9] },
		"large pairs":  func(i int) float32 { return map[bool]float32{true: 4, false: 0.01}[i/2%3 == 0] },
		"signs differ": func(i int) float32 { return float32(1 - i%2*2) },
		"zeros":        func(int) float32 { return 0 },
		"tiny":         func(int) float32 { return float32(random.NormFloat64()) * 1e-30 },
	} {
		for _, n := range []int{1, 2, 33, 576} {
			row, q := make([]float32, n), make([]int8, n)
			power, e := 0.0, 0.0
			for i := range row {
				row[i] = draw(i)
				power += float64(row[i]) * float64(row[i])
			}
			step := quantise8(q, row)
			for i, w := range row {
				d := float64(w - float32(q[i])*step)
				e += d * d
				if i%2 == 1 && (q[i] < 0) == (q[i-1] < 0) && max(int(q[i])+int(q[i-1]), -int(q[i])-int(q[i-1])) > pairSum {
					t.Errorf("%s: a pair of %d and %d", name, q[i-1], q[i])
				}
			}
			if !(step > 0) || !(math.Sqrt(e) <= 0.06*math.Sqrt(power)) {
				t.Errorf("%s, %d numbers: an error of %v of %v in steps of %v", name, n, math.Sqrt(e), math.Sqrt(power), step)
			}
		}
	}
}

// TestNoPairSaturates multiplies the largest activations by the largest pairs on ONNX Runtime and compares with whole
// numbers: CPUs without VNNI add neighbours up in 16 bits.
func TestNoPairSaturates(t *testing.T) {
	t.Parallel()
	const in, out = 64, 48
	w := make([]int8, in*out) // [in, out]
	for column := range out {
		row, q := make([]float32, in), make([]int8, in)
		for i := range row {
			row[i] = float32(1 - column%2*2)
			if column%3 == 0 && i%2 == 1 {
				row[i] *= 0.01 * float32(column)
			}
		}
		quantise8(q, row)
		for i, v := range q {
			w[i*out+column] = v
		}
	}
	g := onnx.New("pairs")
	g.Metadata("mllm4rec.format", "1")
	g.Metadata("mllm4rec.kind", "ranker")
	x := g.Cast(g.Input("x", onnx.Float32, onnx.Sym("rows"), onnx.Num(in)), onnx.Uint8)
	steps := slices.Repeat([]float32{1}, out)
	g.Output("y", g.MatMulIntegerToFloat(x, g.Raw("w", onnx.Int8, []int64{in, out}, encodeInt8(w)), g.Scalar(1), g.Float32("steps", []int64{out}, steps), g.Byte(128)))
	path := filepath.Join(t.TempDir(), "pairs.onnx")
	if err := testkit.Must(g.Finish())(t).Write(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	session := testkit.Must(ort.Open(path, orttest.Options(t)))(t)
	defer session.Close()
	for _, activation := range []float32{255, 128, 1} {
		got := make([]float32, 5*out)
		if err := session.Run(t.Context(), []ort.Value{lent(t, slices.Repeat([]float32{activation}, 5*in), 5, in)}, []ort.Value{lent(t, got, 5, out)}); err != nil {
			t.Fatal(err)
		}
		for column := range out {
			want := 0
			for i := range in {
				want += (int(activation) - 128) * int(w[i*out+column])
			}
			if int(got[column]) != want || int(got[4*out+column]) != want {
				t.Errorf("activations %v, column %d: %v, want %d", activation, column, got[column], want)
			}
		}
	}
}
