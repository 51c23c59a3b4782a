package torch

// #include "kernels.h"
import "C"

import (
	"math"
	"unsafe"
)

// AdamW is one step's scalars (arXiv 1711.05101). Step counts from 1; GradientScale is the clip's factor.
type AdamW struct {
	Step                         int
	LearningRate, Epsilon, Decay float64
	GradientScale                float64
}

const beta1, beta2 = 0.9, 0.999

func (o AdamW) scalars(decay float64) C.adamw_step {
	return C.adamw_step{
		learning_rate: C.float(o.LearningRate), beta1: beta1, beta2: beta2, epsilon: C.float(o.Epsilon), decay: C.float(decay),
		correction1: C.float(1 - math.Pow(beta1, float64(o.Step))), correction2: C.float(math.Sqrt(1 - math.Pow(beta2, float64(o.Step)))),
		gradient_scale: C.float(o.GradientScale),
	}
}

// Update moves parameters p by gradients g; m and v are their moments, all of one length. decayed says whether weight
// decay applies.
func (o AdamW) Update(p, g, m, v []float32, decayed bool) {
	if len(p) == 0 {
		return
	}
	decay := 0.0
	if decayed {
		decay = o.Decay
	}
	C.adamw(ptr(p), ptr(g), ptr(m), ptr(v), C.int64_t(len(p)), o.scalars(decay))
}

// UpdateRows moves the named rows of p [*, width] by g [len(rows), width] and nothing else, so that its time does not
// depend on the size of p. last [*] remembers the step of each row's update before: moments and decay catch up with the
// steps a row missed, the fading moment's moves in between are left out (PyTorch's SparseAdam leaves out all three).
func (o AdamW) UpdateRows(p, g, m, v []float32, last, rows []int32, width int, decayed bool) {
	if len(rows) == 0 {
		return
	}
	decay := 0.0
	if decayed {
		decay = o.Decay
	}
	C.adamw_rows(ptr(p), ptr(g), ptr(m), ptr(v), (*C.int32_t)(unsafe.Pointer(&last[0])), (*C.int32_t)(unsafe.Pointer(&rows[0])),
		C.int64_t(len(rows)), C.int64_t(width), C.int32_t(o.Step), o.scalars(decay))
}

// SumOfSquares is Σ x².
func SumOfSquares(x []float32) float64 {
	if len(x) == 0 {
		return 0
	}
	return float64(C.sum_of_squares(ptr(x), C.int64_t(len(x))))
}

func ptr(x []float32) *C.float { return (*C.float)(unsafe.Pointer(unsafe.SliceData(x))) }
