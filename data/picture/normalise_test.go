package picture_test

import (
	"math"
	"strings"
	"testing"

	"mllm4rec/data/picture"
)

// TestNormaliseWritesPlanes: every sample at its place, within half a unit of float32 (1.2e-7 at 2 and above) of the formula.
func TestNormaliseWritesPlanes(t *testing.T) {
	t.Parallel()
	p := decodeFile(t, "testdata/resized/28x40.50.png")
	got := make([]float32, 3*50*50)
	if err := p.Normalise(got, mean, std); err != nil {
		t.Fatal(err)
	}
	for i, v := range p.Pix {
		c, at := i%3, i/3
		want := (float64(v)/255 - mean[c]) / std[c]
		if d := math.Abs(float64(got[c*50*50+at]) - want); d > 2e-7 {
			t.Fatalf("channel %d, pixel %d: %g, want %g", c, at, got[c*50*50+at], want)
		}
	}
}

func TestNormaliseRefusesAnotherRoom(t *testing.T) {
	t.Parallel()
	p := &picture.RGB{Width: 2, Height: 2, Pix: make([]byte, 12)}
	if err := p.Normalise(make([]float32, 11), mean, std); err == nil || !strings.Contains(err.Error(), "2 × 2 pixels has 12 samples; there is room for 11") {
		t.Errorf("%v", err)
	}
}
