package lora

import (
	"math"
	"math/rand/v2"
	"testing"
)

// packing is a tensor held in fewer bits, and what it is after that.
func packing(precision string, values []float32) (compressed, []float32) {
	engine := room{}
	c := newCompressed(&engine, precision, len(values))
	switch c := c.(type) { // memory of Go's, since these tests need no libtorch
	case *bf16:
		c.values = make([]uint16, len(values))
	case *int8s:
		c.values, c.scales = make([]int8, len(values)), make([]float32, (len(values)+63)/64)
	case *nf4:
		blocks := (len(values) + 63) / 64
		c.packed, c.codes, c.outer = make([]byte, (len(values)+1)/2), make([]byte, blocks), make([]float32, (blocks+255)/256)
	}
	c.pack(values)
	out := make([]float32, len(values))
	c.unpack(out)
	return c, out
}

// weightsOf are numbers as a trained model has them: normal, with outliers and zeros.
func weightsOf(n int, seed uint64) []float32 {
	r := rand.New(rand.NewPCG(seed, 1))
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(r.NormFloat64() * 0.05)
		if r.IntN(500) == 0 {
			values[i] *= 40
		}
		if i/64%7 == 3 {
			values[i] = 0
		}
	}
	return values
}

func TestBF16IsExactForWhatIsBF16AndNearestElse(t *testing.T) {
	t.Parallel()
	exact := []float32{0, float32(math.Copysign(0, -1)), 1, -2.5, 0x1p-133, float32(math.Inf(1)), float32(math.Inf(-1)), 3.3895314e38}
	_, got := packing("bf16", exact)
	for i := range exact {
		if math.Float32bits(got[i]) != math.Float32bits(exact[i]) {
			t.Errorf("%v became %v", exact[i], got[i])
		}
	}
	rounded := map[float32]float32{1 + 0x1p-9: 1, 1 + 0x1p-8: 1, 1 + 0x1p-8 + 0x1p-20: 1 + 0x1p-7, 1 + 3*0x1p-8: 1 + 0x1p-6, -1 - 0x1p-7 - 0x1p-8: -1 - 0x1p-6}
	for x, want := range rounded {
		if _, got := packing("bf16", []float32{x}); got[0] != want {
			t.Errorf("%v became %v, want %v", x, got[0], want)
		}
	}
	if _, got := packing("bf16", []float32{math.Float32frombits(0x7fffffff)}); got[0] == got[0] {
		t.Errorf("what is no number became %v", got[0])
	}
}

func TestInt8IsOffByHalfAStepAtMost(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 63, 64, 65, 40_000} {
		values := weightsOf(n, 3)
		_, got := packing("int8", values)
		for from := 0; from < n; from += 64 {
			high, worst := 0.0, 0.0
			for i := from; i < min(n, from+64); i++ {
				high, worst = max(high, math.Abs(float64(values[i]))), max(worst, math.Abs(float64(values[i]-got[i])))
			}
			if worst > high/127*0.50001 {
				t.Fatalf("of %d: block %d with numbers up to %v is off by %v", n, from/64, high, worst)
			}
		}
	}
}

func TestRatesOfBits(t *testing.T) {
	t.Parallel()
	const n = 4096 * 4096
	for precision, want := range map[string]float64{"bf16": 16, "int8": 8.5, "nf4": 4 + 8./64 + 32./64/256} {
		var r room
		newCompressed(&r, precision, n)
		if got := float64(r.bytes) * 8 / n; math.Abs(got-want) > 1e-3 {
			t.Errorf("%s takes %v bits a weight, want %v", precision, got, want)
		}
	}
}

func BenchmarkUnpack(b *testing.B) {
	const n = 3072 * 576
	values := weightsOf(n, 5)
	for _, precision := range Precisions[1:] {
		b.Run(precision, func(b *testing.B) {
			c, out := packing(precision, values)
			b.SetBytes(4 * n)
			for b.Loop() {
				c.unpack(out)
			}
		})
	}
}
