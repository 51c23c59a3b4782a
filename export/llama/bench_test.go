package llama

import (
	"path/filepath"
	"testing"

	"mllm4rec/export/matrix"
)

// BenchmarkExport writes SmolLM2 in each precision.
func BenchmarkExport(b *testing.B) {
	ck := open(b, smollm2(b))
	for _, precision := range matrix.Precisions() {
		b.Run(string(precision), func(b *testing.B) {
			out := filepath.Join(b.TempDir(), "ranker.onnx")
			for b.Loop() {
				if err := Export(b.Context(), ck, nil, out, Options{Precision: precision, Letters: []int32{330, 347, 366}}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
