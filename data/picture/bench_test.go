package picture_test

import (
	"os"
	"testing"

	"mllm4rec/data/picture"
	"mllm4rec/internal/testkit"
)

// CLIP's, which BLIP-2 checkpoints name in preprocessor_config.json.
var mean, std = [3]float64{0.48145466, 0.4578275, 0.40821073}, [3]float64{0.26862954, 0.26130258, 0.27577711}

// photograph is 4:2:0 at 348 × 348 pixels.
func photograph(b *testing.B) []byte {
	b.Helper()
	data, err := os.ReadFile(testkit.Shared(b, "data", "grocery", "images", "Alpro-Fresh-Soy-Milk-shelf.jpg"))
	if err != nil {
		b.Fatal(err)
	}
	return data
}

func BenchmarkDecode(b *testing.B) {
	data := photograph(b)
	for b.Loop() {
		if _, err := picture.Decode(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkResize(b *testing.B) {
	p, err := picture.Decode(photograph(b))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		p.Resize(224)
	}
}

func BenchmarkNormalise(b *testing.B) {
	p, err := picture.Decode(photograph(b))
	if err != nil {
		b.Fatal(err)
	}
	p = p.Resize(224)
	batch := make([]float32, 3*224*224)
	for b.Loop() {
		if err := p.Normalise(batch, mean, std); err != nil {
			b.Fatal(err)
		}
	}
}
