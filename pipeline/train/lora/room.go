package lora

import (
	"unsafe"

	"mllm4rec/pipeline/train/torch"
)

// room is memory of one kind, counted. Without an engine it is counted only: a plan is the allocation itself, left out.
type room struct {
	engine   *torch.Engine
	matrices []*torch.Matrix
	bytes    int64
}

// matrix is zeros, until free.
func (r *room) matrix(rows, cols int) *torch.Matrix {
	r.bytes += 4 * int64(rows) * int64(cols)
	if r.engine == nil {
		return &torch.Matrix{Cols: cols}
	}
	m := r.engine.NewMatrix(rows, cols)
	r.matrices = append(r.matrices, m)
	return m
}

// slice is the first elements of whole, seen as [rows, cols].
func (r *room) slice(whole *torch.Matrix, rows, cols int) *torch.Matrix {
	if r.engine == nil {
		return &torch.Matrix{Cols: cols}
	}
	m := whole.Slice(0, rows, cols)
	r.matrices = append(r.matrices, m)
	return m
}

// floats are zeros outside Go's heap, whose garbage collector would let as much again lie about.
func (r *room) floats(n int) []float32 { return r.matrix(1, n).Data }

// elements are n numbers of T, of 1, 2 or 4 bytes.
func elements[T byte | int8 | uint16](r *room, n int) []T {
	words := r.floats((n*int(unsafe.Sizeof(*new(T))) + 3) / 4)
	if words == nil {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(words))), n)
}

func (r *room) free() {
	for i := len(r.matrices) - 1; i >= 0; i-- { // slices before what they are slices of
		r.matrices[i].Free()
	}
	r.matrices = nil
}
