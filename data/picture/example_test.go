package picture_test

import (
	"fmt"
	"log"
	"os"

	"mllm4rec/data/picture"
)

// A batch of one picture, in the form [1, 3, 28, 28].
func Example() {
	data, err := os.ReadFile("testdata/pillow/webp-lossless.webp")
	if err != nil {
		log.Fatal(err)
	}
	p, err := picture.Decode(data)
	if err != nil {
		log.Fatal(err)
	}
	const size, samples = 28, 3 * 28 * 28
	batch := make([]float32, 1*samples)
	imageMean := [3]float64{0.48145466, 0.4578275, 0.40821073}
	imageStd := [3]float64{0.26862954, 0.26130258, 0.27577711}
	if err := p.Resize(size).Normalise(batch[0*samples:1*samples], imageMean, imageStd); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d × %d, first red %.4f\n", p.Width, p.Height, batch[0])
	// Output:
	// 45 × 31, first red 0.1493
}
