package torch

// #include "kernels.h"
import "C"

// Dropout decides by a hash of (Key, element) which elements of a tensor survive: it needs no memory for masks and no
// state, so that a resumed run drops the same elements. Its backward is itself. The zero value keeps everything.
type Dropout struct {
	Key       uint64
	Threshold uint32
	Scale     float32
}

// NewDropout drops elements at the given rate.
func NewDropout(rate float64, key uint64) Dropout {
	if rate <= 0 {
		return Dropout{Scale: 1}
	}
	return Dropout{Key: key, Threshold: uint32(rate * (1 << 32)), Scale: float32(1 / (1 - rate))}
}

// Apply clears the elements of x that do not survive and scales the others.
func (d Dropout) Apply(x []float32) {
	if d.Threshold == 0 || len(x) == 0 {
		return
	}
	C.apply_dropout(ptr(x), C.int64_t(len(x)), C.uint32_t(d.Key), C.uint32_t(d.Key>>32), C.uint32_t(d.Threshold), C.float(d.Scale))
}

// Mix makes a well-spread key of any numbers (splitmix64's finaliser over each).
func Mix(parts ...uint64) uint64 {
	var x uint64
	for _, part := range parts {
		x += part + 0x9E3779B97F4A7C15
		x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
		x = (x ^ x>>27) * 0x94D049BB133111EB
		x ^= x >> 31
	}
	return x
}
