package gguf_test

import (
	"os"
	"path/filepath"
	"testing"

	"mllm4rec/internal/gguf"
	"mllm4rec/internal/gguf/gguftest"
)

// FuzzOpen: whatever the bytes, Open returns an error or a file whose tensors can all be read.
func FuzzOpen(f *testing.F) {
	f.Add(gguftest.Bytes(every, nil))
	f.Add(gguftest.Bytes(every[:4], []gguftest.Tensor{
		gguftest.F32("w", []int64{2, 3}, make([]float32, 6)),
		{Name: "q", Type: 2, Shape: []int64{2, 32}, Data: make([]byte, 36)},
	}))
	f.Add(gguftest.Bytes([]any{"general.alignment", uint32(64)}, []gguftest.Tensor{gguftest.F32("e", []int64{0}, nil)}))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			t.Skip("larger files add nothing but time")
		}
		path := filepath.Join(t.TempDir(), "x.gguf")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		g, err := gguf.Open(path)
		if err != nil {
			return
		}
		defer g.Close()
		for _, tensor := range g.Tensors {
			err := g.View(tensor, func(blocks []byte) error {
				if int64(len(blocks)) != tensor.Bytes() {
					t.Errorf("tensor %q: %d bytes of %d", tensor.Name, len(blocks), tensor.Bytes())
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}
