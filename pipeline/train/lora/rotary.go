package lora

import "math"

// rotary holds the cosines and sines of rotary position embeddings, [positions, dim/2].
type rotary struct{ cosines, sines []float32 }

// newRotary computes the angles position · frequency in float32, as Hugging Face does.
func newRotary(frequencies []float64, positions int) *rotary {
	r := &rotary{make([]float32, positions*len(frequencies)), make([]float32, positions*len(frequencies))}
	for p := range positions {
		for i, f := range frequencies {
			angle := float64(float32(p) * float32(f))
			sin, cos := math.Sincos(angle)
			r.cosines[p*len(frequencies)+i], r.sines[p*len(frequencies)+i] = float32(cos), float32(sin)
		}
	}
	return r
}

func (h heads) scale() float64 { return 1 / math.Sqrt(float64(h.dim)) }
