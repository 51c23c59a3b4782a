package picture_test

import (
	"os"
	"runtime"
	"strings"
	"testing"

	"mllm4rec/data/picture"
)

// FuzzDecode: whatever the bytes, Decode returns an error, of which none is a caught panic, or a whole picture, and takes
// memory for the pixels it may have.
func FuzzDecode(f *testing.F) {
	for _, path := range pillowFiles(f) {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		if len(data) < 2000 { // Go's fuzzing spends its time on shortening what is long
			f.Add(data)
		}
	}
	const (
		maxPixels = 1 << 16
		maxTaken  = 64 << 20 // a TIFF file's tile may hold 1024 × 1024 pixels of 8 bytes more than the picture
	)
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			t.Skip("larger files add nothing but time")
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		p, err := picture.DecodeWithin(data, maxPixels)
		runtime.ReadMemStats(&after)
		if taken := after.TotalAlloc - before.TotalAlloc; taken > maxTaken {
			t.Errorf("took %d bytes", taken)
		}
		if err != nil {
			if strings.Contains(err.Error(), "runtime error") {
				t.Error(err)
			}
			return
		}
		if p.Width < 1 || p.Height < 1 || p.Width*p.Height > maxPixels || len(p.Pix) != 3*p.Width*p.Height {
			t.Fatalf("%d bytes for %d × %d", len(p.Pix), p.Width, p.Height)
		}
		if err := p.Resize(7).Normalise(make([]float32, 3*7*7), mean, std); err != nil {
			t.Error(err)
		}
	})
}
