package lora

/*
#cgo CFLAGS: -O3 -fopenmp -Wall
#cgo LDFLAGS: -lm
#include "kernels.h"
*/
import "C"

import (
	"unsafe"

	"mllm4rec/pipeline/train/torch"
)

// view is some neighbouring columns of a matrix: row i begins at data[i·stride].
type view struct {
	data   []float32
	stride int
}

// columns are those of m from the given one on.
func columns(m *torch.Matrix, from int) view { return view{m.Data[min(from, len(m.Data)):], m.Cols} }

func floats(x []float32) *C.float { return (*C.float)(unsafe.Pointer(unsafe.SliceData(x))) }
func ints(x []int32) *C.int32_t   { return (*C.int32_t)(unsafe.Pointer(unsafe.SliceData(x))) }
func size(n int) C.int64_t        { return C.int64_t(n) }

func cDropout(d torch.Dropout) C.dropout {
	return C.dropout{key_low: C.uint32_t(uint32(d.Key)), key_high: C.uint32_t(d.Key >> 32), threshold: C.uint32_t(d.Threshold), scale: C.float(d.Scale)}
}

// rmsNorm makes out = weight · x / √(mean x² + epsilon); rstd [rows] gets the factors.
func rmsNorm(x *torch.Matrix, weight []float32, epsilon float64, rstd []float32, out *torch.Matrix) {
	C.rms_norm(floats(x.Data), floats(weight), C.float(epsilon), size(x.Rows), size(x.Cols), floats(rstd), floats(out.Data))
}

// rmsNormBackward adds to grad what gradOut, the gradient of rmsNorm's result, means for x.
func rmsNormBackward(gradOut, x *torch.Matrix, weight, rstd []float32, grad *torch.Matrix) {
	C.rms_norm_backward(floats(gradOut.Data), floats(x.Data), floats(weight), floats(rstd), size(x.Rows), size(x.Cols), floats(grad.Data))
}

// headNorm normalises heads heads of x in place; before [rows, heads, dim] keeps them as they were.
func headNorm(x view, weight []float32, epsilon float64, rows, heads, dim int, before []float32) {
	C.head_norm(floats(x.data), size(x.stride), floats(weight), C.float(epsilon), size(rows), size(heads), size(dim), floats(before))
}

func headNormBackward(grad view, before, weight []float32, epsilon float64, rows, heads, dim int) {
	C.head_norm_backward(floats(grad.data), size(grad.stride), floats(before), floats(weight), C.float(epsilon), size(rows), size(heads), size(dim))
}

func addBias(x view, bias []float32, rows int) {
	C.add_bias(floats(x.data), size(x.stride), floats(bias), size(rows), size(len(bias)))
}

// rotate turns heads heads of x by their positions; sign -1 turns them back.
func rotate(x view, positions []int32, r *rotary, heads, dim int, sign float32) {
	C.rotate(floats(x.data), size(x.stride), ints(positions), floats(r.cosines), floats(r.sines), size(len(positions)), size(heads), size(dim), C.float(sign))
}

// swiglu makes out [rows, d] of gateUp [rows, 2·d].
func swiglu(gateUp, out *torch.Matrix) {
	C.swiglu(floats(gateUp.Data), size(out.Rows), size(out.Cols), floats(out.Data))
}

// swigluBackward replaces gateUp by its gradient.
func swigluBackward(gateUp, grad *torch.Matrix) {
	C.swiglu_backward(floats(gateUp.Data), floats(grad.Data), size(grad.Rows), size(grad.Cols))
}

// gather copies rows of x to out.
func gather(x *torch.Matrix, rows []int32, out *torch.Matrix) {
	C.gather_rows(floats(x.Data), size(x.Cols), ints(rows), size(len(rows)), size(out.Cols), floats(out.Data))
}

// scatter adds the rows of x to the named rows of out.
func scatter(x *torch.Matrix, rows []int32, out *torch.Matrix) {
	C.scatter_rows(floats(x.Data), ints(rows), size(len(rows)), size(x.Cols), floats(out.Data))
}

// loraDown makes u [rows, rank] = scale · dropout(x) aᵀ.
func loraDown(x view, rows, d int, drop torch.Dropout, a []float32, rank int, scale float32, u []float32) {
	C.lora_down(floats(x.data), size(x.stride), size(rows), size(d), cDropout(drop), floats(a), size(rank), C.float(scale), floats(u))
}

// loraUp adds dropout(scale · u b) to y.
func loraUp(u []float32, rows, rank int, b []float32, d int, scale float32, drop torch.Dropout, y view) {
	C.lora_up(floats(u), size(rows), size(rank), floats(b), size(d), C.float(scale), cDropout(drop), floats(y.data), size(y.stride))
}

// loraOuter adds scale · uᵀ dropout(x) to grad [rank, d].
func loraOuter(u []float32, rows, rank int, x view, d int, drop torch.Dropout, scale float32, grad []float32) {
	C.lora_outer(floats(u), size(rows), size(rank), floats(x.data), size(x.stride), size(d), cDropout(drop), C.float(scale), floats(grad))
}

// heads is the geometry of attention.
type heads struct{ count, kv, dim, window int }

func (h heads) c() C.head_shape {
	return C.head_shape{heads: size(h.count), kv_heads: size(h.kv), dim: size(h.dim), window: size(h.window), scale: C.float(h.scale())}
}

// attend makes out [queries, heads·dim] and lse [queries, heads] from rotated q, k and v.
func attend(q, k, v view, w walk, h heads, out *torch.Matrix, lse []float32) error {
	failed := C.attention(floats(q.data), size(q.stride), floats(k.data), floats(v.data), size(k.stride), ints(w.positions),
		(*C.span)(unsafe.Pointer(unsafe.SliceData(w.spans))), size(len(w.spans)), ints(w.chains), h.c(), floats(out.Data), floats(lse))
	return outOfMemory(int(failed))
}

// attendBackward writes the gradients of q, k and v (kvRows rows) from that of out.
func attendBackward(q, k, v view, w walk, h heads, out *torch.Matrix, lse []float32, grad *torch.Matrix, gradQ, gradK, gradV view, kvRows int) error {
	failed := C.attention_backward(floats(q.data), size(q.stride), floats(k.data), floats(v.data), size(k.stride), ints(w.positions),
		(*C.span)(unsafe.Pointer(unsafe.SliceData(w.spans))), size(len(w.spans)), ints(w.chains), h.c(), floats(out.Data), floats(lse),
		floats(grad.Data), floats(gradQ.data), floats(gradK.data), floats(gradV.data), size(kvRows))
	return outOfMemory(int(failed))
}

// letterLoss turns logits into the gradient of scale × Σ cross-entropy, row i over its first counts[i] columns, and returns
// Σ cross-entropy.
func letterLoss(logits *torch.Matrix, labels, counts []int32, scale float64) float64 {
	return float64(C.letter_loss(floats(logits.Data), ints(labels), ints(counts), size(logits.Rows), size(logits.Cols), C.float(scale)))
}
