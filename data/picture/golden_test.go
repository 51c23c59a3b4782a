package picture_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mllm4rec/data/picture"
	"mllm4rec/export/weights"
	"mllm4rec/internal/testkit"
)

func decodeFile(t testing.TB, path string) *picture.RGB {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := picture.Decode(data)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return p
}

// difference is the largest and the mean distance of two pictures' samples.
func difference(t testing.TB, got, want []byte) (largest int, mean float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d samples, want %d", len(got), len(want))
	}
	sum := 0
	for i, v := range got {
		d := max(int(v), int(want[i])) - min(int(v), int(want[i]))
		largest, sum = max(largest, d), sum+d
	}
	return largest, float64(sum) / float64(len(got))
}

// TestDecodeAndResizeEqualPillow: lossless pictures bit for bit; JPEG within what another inverse DCT changes.
func TestDecodeAndResizeEqualPillow(t *testing.T) {
	t.Parallel()
	dir := testkit.Shared(t, "goldens", "preprocess")
	goldens, err := weights.Open(filepath.Join(dir, "golden.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { goldens.Close() })
	for _, name := range goldens.Names() {
		t.Run(name, func(t *testing.T) {
			want, err := goldens.Tensor(name)
			if err != nil {
				t.Fatal(err)
			}
			got := decodeFile(t, filepath.Join(dir, "images", strings.TrimSuffix(name, ".resized_u8"))).Resize(224)
			largest, mean := difference(t, got.Pix, want.Data)
			t.Logf("largest difference %d, mean %.4f", largest, mean)
			if lossy := strings.Contains(name, ".jpg"); lossy && mean > 0.2 || !lossy && largest > 0 {
				t.Errorf("largest difference %d, mean %.4f", largest, mean)
			}
		})
	}
}
