package lrurec

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

func floats(x []float32) *C.float { return (*C.float)(unsafe.Pointer(unsafe.SliceData(x))) }
func ints(x []int32) *C.int32_t   { return (*C.int32_t)(unsafe.Pointer(unsafe.SliceData(x))) }

func cDropout(d torch.Dropout) C.dropout {
	return C.dropout{key_low: C.uint32_t(uint32(d.Key)), key_high: C.uint32_t(d.Key >> 32), threshold: C.uint32_t(d.Threshold), scale: C.float(d.Scale)}
}

// embedNorm makes out [rows, hidden] = LayerNorm(dropout(table[items])).
func embedNorm(table *torch.Matrix, items []int32, drop torch.Dropout, n *norm, out *torch.Matrix) {
	C.embed_norm(floats(table.Data), ints(items), C.int64_t(len(items)), C.int64_t(table.Cols), cDropout(drop),
		floats(n.weight), floats(n.bias), floats(n.normal.Data), floats(n.rstd.Data), floats(out.Data))
}

// residualNorm makes out [rows, hidden] = LayerNorm(x + dropout(branch)).
func residualNorm(branch, x *torch.Matrix, drop torch.Dropout, n *norm, out *torch.Matrix) {
	C.residual_norm(floats(branch.Data), floats(x.Data), C.int64_t(x.Rows), C.int64_t(x.Cols), cDropout(drop),
		floats(n.weight), floats(n.bias), floats(n.normal.Data), floats(n.rstd.Data), floats(out.Data))
}

// normBackward turns the gradient of a residualNorm's output into those of x and branch; gradBias (may be nil) gets the
// column sums of the branch's.
func normBackward(grad *torch.Matrix, n *norm, drop torch.Dropout, gradX, gradBranch *torch.Matrix, gradBias []float32) {
	C.norm_backward(floats(grad.Data), floats(n.normal.Data), floats(n.rstd.Data), floats(n.weight), C.int64_t(grad.Rows),
		C.int64_t(grad.Cols), cDropout(drop), floats(gradX.Data), floats(gradBranch.Data), floats(n.gradWeight),
		floats(n.gradBias), floats(gradBias))
}

// addRows adds row i of grad to row slots[i] of table.
func addRows(grad *torch.Matrix, slots []int32, table *torch.Matrix) {
	C.embed_backward(floats(grad.Data), ints(slots), C.int64_t(grad.Rows), C.int64_t(grad.Cols), floats(table.Data))
}

// scan runs h_t = λ h_{t-1} + x_t in place in h [rows, (real | imaginary) × channels], from 0 at every start.
func scan(h *torch.Matrix, starts []int32, lambda []float32) {
	C.scan(floats(h.Data), ints(starts), C.int64_t(len(starts)-1), C.int64_t(h.Cols/2), floats(lambda))
}

// scanBackward turns the gradient of scan's output into that of its input in place and adds λ's to gradLambda.
func scanBackward(grad, h *torch.Matrix, starts []int32, lambda, gradLambda []float32) {
	C.scan_backward(floats(grad.Data), floats(h.Data), ints(starts), C.int64_t(len(starts)-1), C.int64_t(h.Cols/2),
		floats(lambda), floats(gradLambda))
}

// columnSums adds the sum of x's rows to sums.
func columnSums(x *torch.Matrix, sums []float32) {
	C.column_sums(floats(x.Data), C.int64_t(x.Rows), C.int64_t(x.Cols), floats(sums))
}

// softmaxLoss turns logits [rows, items] into the gradient of scale × Σ cross-entropy and returns Σ cross-entropy.
// gradBias [threads, items] gets the column sums, in one row for each thread.
func softmaxLoss(logits *torch.Matrix, labels []int32, bias []float32, scale float64, gradBias []float32) float64 {
	return float64(C.softmax_loss(floats(logits.Data), ints(labels), C.int64_t(logits.Rows), C.int64_t(logits.Cols),
		floats(bias), C.float(scale), floats(gradBias)))
}

// labelScores fills scores [rows] with hidden·table[label] + bias[label].
func labelScores(hidden, table *torch.Matrix, bias []float32, labels []int32, scores []float32) {
	C.label_scores(floats(hidden.Data), floats(table.Data), floats(bias), ints(labels), C.int64_t(hidden.Rows),
		C.int64_t(hidden.Cols), floats(scores))
}

// sampledSoftmax turns logits [rows, negatives] and label [rows] scores into gradients of scale × Σ loss; returns Σ loss.
func sampledSoftmax(logits *torch.Matrix, label []float32, labels, negatives []int32, bias []float32, scale float64) float64 {
	return float64(C.sampled_softmax(floats(logits.Data), floats(label), ints(labels), ints(negatives), C.int64_t(logits.Rows),
		C.int64_t(logits.Cols), floats(bias), C.float(scale)))
}

// gbce does the same for generalised binary cross-entropy with power beta.
func gbce(logits *torch.Matrix, label []float32, labels, negatives []int32, bias []float32, scale, beta float64) float64 {
	return float64(C.gbce(floats(logits.Data), floats(label), ints(labels), ints(negatives), C.int64_t(logits.Rows),
		C.int64_t(logits.Cols), floats(bias), C.float(scale), C.float(beta)))
}

// labelBackward adds what labelScores' gradients labelGrad [rows] mean for hidden, and for table and bias at slots [rows].
func labelBackward(hidden, table *torch.Matrix, labels, slots []int32, labelGrad []float32, grad, gradTable *torch.Matrix, gradBias []float32) {
	C.label_backward(floats(hidden.Data), floats(table.Data), ints(labels), ints(slots), floats(labelGrad), C.int64_t(hidden.Rows),
		C.int64_t(hidden.Cols), floats(grad.Data), floats(gradTable.Data), floats(gradBias))
}

// ranks fills rank [rows] with the number of items scored before each label.
func ranks(scores *torch.Matrix, bias []float32, labels, rank []int32) {
	C.ranks(floats(scores.Data), floats(bias), ints(labels), C.int64_t(scores.Rows), C.int64_t(scores.Cols), ints(rank))
}
