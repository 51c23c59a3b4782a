package llama

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"
	"time"

	"mllm4rec/export/matrix"
	"mllm4rec/internal/testkit"
)

// made is a model of random weights that exists nowhere: numbers are drawn when they are asked for.
type made struct {
	config Config
	shapes map[string][]int64
}

func newMade(c Config) made {
	m := made{c, map[string][]int64{}}
	for _, want := range c.expect() {
		m.shapes[want.name] = want.shape
	}
	return m
}

func (m made) Config() Config { return m.config }

func (m made) Fingerprint() string { return "made" }

func (m made) Info(name string) (string, []int64, error) { return "F16", m.shapes[name], nil }

func (m made) Blocks(name string) ([]byte, error) {
	return nil, fmt.Errorf("%s has no blocks", name)
}

func (m made) Float32(name string) ([]float32, []int64, error) {
	shape := m.shapes[name]
	n := 1
	for _, d := range shape {
		n *= int(d)
	}
	return m.draw(n), shape, nil
}

func (m made) Rows(name string, rows []int) ([]float32, error) {
	return m.draw(len(rows) * int(m.shapes[name][1])), nil
}

func (m made) draw(n int) []float32 {
	values := make([]float32, n)
	matrix.Parallel(len(values), func(from, to int) {
		random := rand.New(rand.NewPCG(uint64(from), uint64(n)))
		for i := from; i < to; i++ {
			values[i] = (random.Float32() - 0.5) / 16
		}
	})
	return values
}

// TestExportOf7BStaysBelow4GiB exports a model of Llama-2-7B's shapes and looks at the most memory that the process had. It
// writes up to 14 GB and takes minutes, so it is asked for: MLLM4REC_LARGE is the folder to write to.
func TestExportOf7BStaysBelow4GiB(t *testing.T) {
	folder := os.Getenv("MLLM4REC_LARGE")
	if folder == "" {
		t.Skip("writes up to 14 GB: set MLLM4REC_LARGE to a folder with room")
	}
	c := Config{
		Architecture: archLlama, VocabSize: 32000, Hidden: 4096, Layers: 32, Heads: 32, KVHeads: 32, HeadDim: 128, Intermediate: 11008,
		MaxPositions: 4096, NormEpsilon: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}
	for _, precision := range []Precision{INT4, INT8, FP16} {
		debug.FreeOSMemory()
		before, start := float64(testkit.Status(t, "VmRSS"))/(1<<30), time.Now()
		if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
			t.Skipf("the peak of the memory cannot be reset: %v", err)
		}
		out := filepath.Join(folder, "large.onnx")
		err := export(t.Context(), newMade(c), nil, out, Options{Precision: precision, Letters: []int32{319, 350, 315, 360}, Prefix: []int32{1, 2, 3}})
		if err != nil {
			t.Fatal(err)
		}
		peak, size := float64(testkit.Status(t, "VmHWM"))/(1<<30), testkit.Must(os.Stat(out+".data"))(t).Size()
		t.Logf("%s: %.1f GB in %.0f s, at most %.2f GiB of memory, %.2f GiB before", precision, float64(size)/1e9, time.Since(start).Seconds(), peak, before)
		if peak > 4 {
			t.Errorf("%s: %.2f GiB of memory", precision, peak)
		}
		for _, name := range []string{out, out + ".data"} {
			if err := os.Remove(name); err != nil {
				t.Error(err)
			}
		}
	}
}
