package blip2

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"
	"time"

	"mllm4rec/export/matrix"
	"mllm4rec/internal/testkit"
)

// opt27 is blip2-opt-2.7b: 3.7 billion weights.
var opt27 = Config{
	Queries: 32,
	Vision:  Vision{Hidden: 1408, Layers: 39, Heads: 16, Intermediate: 6144, ImageSize: 224, PatchSize: 14, Activation: "gelu", NormEpsilon: 1e-6, QKVBias: true},
	QFormer: QFormer{Hidden: 768, Layers: 12, Heads: 12, Intermediate: 3072, CrossEvery: 2, Activation: "gelu", NormEpsilon: 1e-12},
	Text: Text{
		Hidden: 2560, Layers: 32, Heads: 32, Intermediate: 10240, VocabSize: 50304, MaxPositions: 2048, Activation: "relu",
		NormBefore: true, FinalNorm: true, Bias: true, Tied: true, BOS: 2, Pad: 1, EOS: []int32{50118},
	},
}

// TestExportOf2B7StaysBelow6GiB exports a model of blip2-opt-2.7b's shapes and looks at the most memory that the process
// had. It writes up to 15 GB and takes minutes, so it is asked for: MLLM4REC_LARGE is the folder to write to.
func TestExportOf2B7StaysBelow6GiB(t *testing.T) {
	folder := os.Getenv("MLLM4REC_LARGE")
	if folder == "" {
		t.Skip("writes up to 15 GB: set MLLM4REC_LARGE to a folder with room")
	}
	for _, precision := range matrix.Precisions() {
		debug.FreeOSMemory()
		before, start := float64(testkit.Status(t, "VmRSS"))/(1<<30), time.Now()
		if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
			t.Skipf("the peak of the memory cannot be reset: %v", err)
		}
		out := filepath.Join(folder, "large.onnx")
		if err := export(t.Context(), newMade(opt27), out, Options{Precision: precision}, false); err != nil {
			t.Fatal(err)
		}
		peak, size := float64(testkit.Status(t, "VmHWM"))/(1<<30), testkit.Must(os.Stat(out+".data"))(t).Size()
		t.Logf("%s: %.1f GB in %.0f s, at most %.2f GiB of memory, %.2f GiB before", precision, float64(size)/1e9, time.Since(start).Seconds(), peak, before)
		if peak > 6 {
			t.Errorf("%s: %.2f GiB of memory", precision, peak)
		}
		for _, name := range []string{out, out + ".data"} {
			if err := os.Remove(name); err != nil {
				t.Error(err)
			}
		}
	}
}
