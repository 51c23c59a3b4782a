package weights_test

import (
	"os"
	"path/filepath"
	"testing"

	"mllm4rec/export/weights"
)

// FuzzOpen: whatever the bytes, Open returns an error or a file whose tensors can all be read and written again.
func FuzzOpen(f *testing.F) {
	f.Add(file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"__metadata__":{"b":"c"}}`, 1))
	f.Add(file(`{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"b":{"dtype":"F16","shape":[2,0],"data_offsets":[4,4]}}`, 4))
	f.Add(file(`{"a":{"dtype":"I64","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			t.Skip("larger files add nothing but time")
		}
		dir := t.TempDir()
		path := filepath.Join(dir, "x.safetensors")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		w, err := weights.Open(path)
		if err != nil {
			return
		}
		defer w.Close()
		var tensors []weights.Tensor
		for _, name := range w.Names() {
			tensor, err := w.Tensor(name)
			if err != nil {
				t.Fatal(err)
			}
			tensors = append(tensors, tensor)
		}
		if err := weights.Write(filepath.Join(dir, "y.safetensors"), tensors, w.Metadata()); err != nil {
			t.Fatal(err)
		}
	})
}
