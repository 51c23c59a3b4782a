package torch

// #include "kernels.h"
import "C"

// Average moves a [n] towards x [n]: a += (1 - decay)(x - a).
func Average(a, x []float32, decay float64) {
	if len(a) == 0 {
		return
	}
	C.average(ptr(a), ptr(x), C.int64_t(len(a)), C.float(1-decay))
}
