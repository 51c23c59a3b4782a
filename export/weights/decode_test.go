package weights_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"mllm4rec/export/weights"
	"mllm4rec/internal/testkit"
)

// blockTypes are those of GGUF files.
var blockTypes = []weights.DType{"BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K"}

// goldens opens the blocks and values that the gguf package made, [4, 512] of each type.
func goldens(t *testing.T) *weights.File {
	t.Helper()
	f, err := weights.Open(testkit.Shared(t, "goldens", "gguf", "dequant.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestBlocksDecodeBitForBit(t *testing.T) {
	t.Parallel()
	f := goldens(t)
	for _, dtype := range blockTypes {
		want, _, err := f.Float32(string(dtype) + ".values")
		if err != nil {
			t.Fatal(err)
		}
		raw, err := f.Tensor(string(dtype) + ".bytes")
		if err != nil {
			t.Fatal(err)
		}
		compare(t, dtype, want, raw.Data)
		// Many times over, so that several goroutines share the work.
		const times = 100
		compare(t, dtype, slices.Repeat(want, times), slices.Repeat(raw.Data, times))
	}
}

func compare(t *testing.T, dtype weights.DType, want []float32, raw []byte) {
	t.Helper()
	got := make([]float32, len(want))
	if err := dtype.Decode(got, raw); err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("%s: number %d is %v, want %v", dtype, i, got[i], want[i])
		}
	}
}

func TestDecodeRefusesOtherTypesAndOtherSizes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		dtype        weights.DType
		numbers, raw int
		want         string
	}{
		{"IQ4_NL", 32, 18, "it is IQ4_NL where a floating-point type belongs: one of BF16, F16, F32, F64, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0"},
		{"Q2_K", 256, 84, "it is Q2_K"},
		{weights.I8, 1, 1, "it is I8"},
		{weights.Q4_0, 32, 17, "17 bytes of Q4_0 do not hold 32 numbers"},
		{weights.Q4_0, 31, 18, "18 bytes of Q4_0 do not hold 31 numbers"},
		{weights.F32, 2, 4, "4 bytes of F32 do not hold 2 numbers"},
	} {
		if err := c.dtype.Decode(make([]float32, c.numbers), make([]byte, c.raw)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v; want %q", err, c.want)
		}
	}
}

// BenchmarkDecode decodes 16 million numbers of each type.
func BenchmarkDecode(b *testing.B) {
	dst := make([]float32, 1<<24)
	r := rand.New(rand.NewPCG(1, 2))
	for _, dtype := range append([]weights.DType{"F32", "F16"}, blockTypes...) {
		elements, bytes := dtype.Block()
		raw := make([]byte, int64(len(dst))/elements*bytes)
		for i := range raw {
			raw[i] = byte(r.Uint32()) & 0x3f // small scales and no NaN
		}
		b.Run(string(dtype), func(b *testing.B) {
			b.SetBytes(4 * int64(len(dst)))
			for b.Loop() {
				if err := dtype.Decode(dst, raw); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(dst)), "ns/number")
		})
	}
}
