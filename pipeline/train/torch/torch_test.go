package torch

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"mllm4rec/internal/testkit"
)

func engine(t *testing.T) *Engine {
	t.Helper()
	e := NewEngine(2)
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func random(m *Matrix, r *rand.Rand) *Matrix {
	for i := range m.Data {
		m.Data[i] = r.Float32() - 0.5
	}
	return m
}

func TestProductsEqualTheDefinition(t *testing.T) {
	e, r := engine(t), rand.New(rand.NewPCG(1, 1))
	const n, k, m = 5, 7, 3
	for _, turnA := range []bool{false, true} {
		for _, turnB := range []bool{false, true} {
			a, b, bias, out := random(e.NewMatrix(n, k), r), random(e.NewMatrix(k, m), r), random(e.NewMatrix(1, m), r), e.NewMatrix(n, m)
			left, right := a.N(), b.N()
			if turnA {
				left = transposed(e, a).T()
			}
			if turnB {
				right = transposed(e, b).T()
			}
			e.Affine(out, left, right, bias)
			e.AddProduct(out, left, right)
			for i := range n {
				for j := range m {
					want := bias.Data[j]
					for x := range k {
						want += 2 * a.Data[i*k+x] * b.Data[x*m+j]
					}
					if math.Abs(float64(out.Data[i*m+j]-want)) > 1e-5 {
						t.Fatalf("turned %v, %v: [%d, %d] is %v, want %v", turnA, turnB, i, j, out.Data[i*m+j], want)
					}
				}
			}
			for _, x := range []*Matrix{a, b, bias, out, left.matrix, right.matrix} {
				x.Free()
			}
		}
	}
	if err := e.Err(); err != nil {
		t.Fatal(err)
	}
}

func transposed(e *Engine, a *Matrix) *Matrix {
	m := e.NewMatrix(a.Cols, a.Rows)
	for i := range a.Rows {
		for j := range a.Cols {
			m.Data[j*a.Rows+i] = a.Data[i*a.Cols+j]
		}
	}
	return m
}

func TestFirstErrorStaysAndNamesShapes(t *testing.T) {
	e := NewEngine(1)
	a, b := e.NewMatrix(2, 3), e.NewMatrix(2, 3)
	e.Product(a, a.N(), b.N())
	a.SetRows(99)
	a.Free()
	b.Free()
	err := e.Close()
	if err == nil || !strings.Contains(err.Error(), "[2, 3]·[2, 3] into [2, 3]") {
		t.Errorf("error %v", err)
	}
}

func TestCloseTellsOfLeaks(t *testing.T) {
	e := NewEngine(1)
	m := e.NewMatrix(1, 1)
	if err := e.Close(); err == nil {
		t.Error("a leaked matrix went unnoticed")
	}
	m.Free()
}

func TestAnErrorIsToldOnce(t *testing.T) {
	e := NewEngine(1)
	e.NewMatrix(1<<30, 1<<30)
	err := e.Err()
	if err == nil || e.CloseAfter(err) != err {
		t.Errorf("error %v", err)
	}
	e = NewEngine(1)
	m := e.NewMatrix(1, 1)
	if err := e.CloseAfter(nil); err == nil {
		t.Error("a leaked matrix went unnoticed")
	}
	m.Free()
}

func TestHandlesLeaveNothingBehind(t *testing.T) {
	e := NewEngine(1)
	t.Cleanup(func() { _ = e.Close() })
	m, w, out := e.NewMatrix(100, 8), e.NewMatrix(8, 8), e.NewMatrix(100, 8)
	defer m.Free()
	defer w.Free()
	defer out.Free()
	round := func() {
		for i := range 1000 {
			m.SetRows(1 + i%100)
			out.SetRows(m.Rows)
			s := m.Slice(0, m.Rows, 8)
			for range 20 { // a handle is 32 bytes
				e.Product(out, s.N(), w.T())
			}
			s.Free()
		}
	}
	round()
	before := testkit.Status(t, "VmRSS")
	for range 20 {
		round()
	}
	if grown := testkit.Status(t, "VmRSS") - before; grown > 8<<20 || e.Err() != nil {
		t.Errorf("20,000 views and slices and 400,000 products left %d bytes, error %v", grown, e.Err())
	}
}

// slowAdamW is AdamW as its paper writes it, in float64.
func slowAdamW(p, m, v, g float64, o AdamW, decay float64) (float64, float64, float64) {
	g *= o.GradientScale
	p -= o.LearningRate * decay * p
	m, v = 0.9*m+0.1*g, 0.999*v+0.001*g*g
	step := float64(o.Step)
	return p - o.LearningRate*(m/(1-math.Pow(0.9, step)))/(math.Sqrt(v/(1-math.Pow(0.999, step)))+o.Epsilon), m, v
}

func TestAdamWEqualsThePaper(t *testing.T) {
	engine(t)
	const n = 9000 // more than one block
	r := rand.New(rand.NewPCG(2, 2))
	p, g, m, v := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
	for i := range p {
		p[i] = r.Float32()
	}
	for _, at := range []int{0, 4095, 4096, n - 1} {
		clear(m)
		clear(v)
		want, wm, wv := float64(p[at]), 0.0, 0.0
		for step := 1; step <= 20; step++ {
			for i := range g {
				g[i] = r.Float32() - 0.5
			}
			o := AdamW{Step: step, LearningRate: 0.01, Epsilon: 1e-8, Decay: 0.1, GradientScale: 0.5}
			want, wm, wv = slowAdamW(want, wm, wv, float64(g[at]), o, 0.1)
			o.Update(p, g, m, v, true)
		}
		if math.Abs(float64(p[at])-want) > 1e-5 {
			t.Errorf("parameter %d is %v, want %v", at, p[at], want)
		}
	}
}

func TestRowsUpdatedEveryStepAreUpdatedAsAll(t *testing.T) {
	engine(t)
	const rows, width = 6, 4
	r := rand.New(rand.NewPCG(3, 3))
	var all, some [3][]float32 // weights and both moments
	for i := range all {
		all[i], some[i] = make([]float32, rows*width), make([]float32, rows*width)
	}
	for i := range all[0] {
		all[0][i] = r.Float32()
	}
	copy(some[0], all[0])
	last := make([]int32, rows)
	for step := 1; step <= 10; step++ {
		g := make([]float32, rows*width)
		for i := range g {
			g[i] = r.Float32() - 0.5
		}
		o := AdamW{Step: step, LearningRate: 0.01, Epsilon: 1e-8, Decay: 0.1, GradientScale: 1}
		o.Update(all[0], g, all[1], all[2], true)
		o.UpdateRows(some[0], g, some[1], some[2], last, []int32{0, 1, 2, 3, 4, 5}, width, true)
	}
	for i := range all[0] {
		if math.Abs(float64(all[0][i]-some[0][i])) > 1e-6 {
			t.Fatalf("weight %d: %v by rows, %v at once", i, some[0][i], all[0][i])
		}
	}
}

func TestSkippedRowsCatchUpWithDecay(t *testing.T) {
	engine(t)
	p, m, v, last := []float32{1, 1}, []float32{0.5, 0.5}, []float32{0.25, 0.25}, []int32{0, 7}
	o := AdamW{Step: 8, LearningRate: 0.1, Epsilon: 1e-8, Decay: 0.5, GradientScale: 1}
	o.UpdateRows(p, []float32{0, 0}, m, v, last, []int32{0, 1}, 1, true)
	if want := 0.5 * math.Pow(0.9, 8); math.Abs(float64(m[0])-want) > 1e-6 {
		t.Errorf("first moment after 8 steps is %v, want %v", m[0], want)
	}
	if want := 0.25 * 0.999; math.Abs(float64(v[1])-want) > 1e-6 {
		t.Errorf("second moment after one step is %v, want %v", v[1], want)
	}
	if last[0] != 8 || last[1] != 8 {
		t.Errorf("last updates %v", last)
	}
}

func TestSumOfSquares(t *testing.T) {
	engine(t)
	x := make([]float32, 10_001)
	for i := range x {
		x[i] = 2
	}
	if got := SumOfSquares(x); got != 40_004 {
		t.Errorf("got %v", got)
	}
	if SumOfSquares(nil) != 0 {
		t.Error("of nothing is not 0")
	}
}

func TestDropoutKeepsItsRateAndRepeatsByKey(t *testing.T) {
	engine(t)
	ones := func(d Dropout) []float32 {
		x := make([]float32, 100_000)
		for i := range x {
			x[i] = 1
		}
		d.Apply(x)
		return x
	}
	a, again, b := ones(NewDropout(0.3, 7)), ones(NewDropout(0.3, 7)), ones(NewDropout(0.3, 8))
	dropped, differ := 0, 0
	for i := range a {
		if a[i] == 0 {
			dropped++
		} else if math.Abs(float64(a[i])-1/0.7) > 1e-6 {
			t.Fatalf("a survivor is scaled to %v", a[i])
		}
		if a[i] != again[i] {
			t.Fatal("the same key dropped other elements")
		}
		if a[i] != b[i] {
			differ++
		}
	}
	// Standard deviations are 145 of 30,000 and 156 of 42,000.
	if math.Abs(float64(dropped)-30_000) > 800 || math.Abs(float64(differ)-42_000) > 900 {
		t.Errorf("%d dropped, %d differ under another key", dropped, differ)
	}
	if x := ones(NewDropout(0, 7)); x[0] != 1 || x[99_999] != 1 {
		t.Error("rate 0 changes something")
	}
}

func TestMoreThreadsThanKernelsHavePlacesForLoseNothing(t *testing.T) {
	runtime.LockOSThread() // libtorch lowers a thread's number to the cores' once
	defer runtime.UnlockOSThread()
	if err := NewEngine(1).Close(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { engine(t) }) // the thread keeps its number of threads
	e := NewEngine(300)
	if e.Threads() != 256 {
		t.Fatalf("%d threads", e.Threads())
	}
	x := make([]float32, 300*4096)
	for i := range x {
		x[i] = 1
	}
	if got := SumOfSquares(x); got != float64(len(x)) {
		t.Errorf("%v with %d threads, want %v", got, e.Threads(), len(x))
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

// TestThreadsAreWhatTheEngineSays runs in processes of its own: MKL reads its variables once.
func TestThreadsAreWhatTheEngineSays(t *testing.T) {
	const variable = "MLLM4REC_TEST_THREADS"
	if asked, err := strconv.Atoi(os.Getenv(variable)); err == nil {
		e := NewEngine(asked)
		before := threadsNow()
		e.NewMatrix(2000, 2000).Free() // shared out among threads
		if after := threadsNow(); e.Threads() > asked || before != e.Threads() || after != e.Threads() {
			t.Errorf("the engine has %d threads of %d, kernels have %d before an operation of libtorch and %d after", e.Threads(), asked, before, after)
		}
		return
	}
	for _, mkl := range []string{"", "1", "4"} {
		for _, asked := range []int{1, 2, runtime.NumCPU() + 1} {
			command := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestThreadsAreWhatTheEngineSays$")
			command.Env = append(os.Environ(), "MKL_NUM_THREADS="+mkl, fmt.Sprint(variable, "=", asked))
			if out, err := command.CombinedOutput(); err != nil {
				t.Errorf("MKL_NUM_THREADS=%s: %v\n%s", mkl, err, out)
			}
		}
	}
}
