package weights_test

import (
	"fmt"
	"os"
	"path/filepath"

	"mllm4rec/export/weights"
)

func ExampleWrite() {
	dir, err := os.MkdirTemp("", "weights")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "model.safetensors")
	tensor := weights.FromFloat32("layer.weight", []int64{2, 2}, []float32{1, 2, 3, 4})
	if err := weights.Write(path, []weights.Tensor{tensor}, map[string]string{"by": "example"}); err != nil {
		fmt.Println(err)
		return
	}
	f, err := weights.Open(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = f.Close() }()
	values, shape, err := f.Float32("layer.weight")
	fmt.Println(f.Names(), f.Metadata(), shape, values, err)
	// Output: [layer.weight] map[by:example] [2 2] [1 2 3 4] <nil>
}
