package lora

import (
	"unsafe"

	"mllm4rec/pipeline/train/torch"
)

// room is memory of one kind, counted. Without an engine it is counted only: a plan is the allocation itself, left out.
type room struct {
	engine *torch.Engine
	// scratch is overwritten before it is read, so that rows that no micro-batch fills take no memory.
	scratch  bool
	matrices []*torch.Matrix
	bytes    int64
}

// matrix is zeros, or scratch, until free.
func (r *room) matrix(rows, cols int) *torch.Matrix {
	r.bytes += 4 * int64(rows) * int64(cols)
	if r.engine == nil {
		return &torch.Matrix{Cols: cols}
	}
	m := r.engine.NewMatrix
	if r.scratch {
		m = r.engine.NewScratch
	}
	r.matrices = append(r.matrices, m(rows, cols))
	return r.matrices[len(r.matrices)-1]
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

// floats are outside Go's heap, whose garbage collector would let as much again lie about.
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
