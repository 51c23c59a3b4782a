package ort

import (
	"fmt"
	"runtime"
	"slices"

	onnx "github.com/yalue/onnxruntime_go"
)

// Element is what a tensor may hold.
type Element interface {
	~float32 | ~float64 | ~int8 | ~uint8 | ~int16 | ~uint16 | ~int32 | ~int64 | ~uint32 | ~uint64
}

// Value is an input or an output of Run: a *Tensor of any element.
type Value interface{ value() onnx.Value }

// Tensor lends a Go slice to ONNX Runtime under a shape. It owns the C handle, and keeps the slice in place until Close;
// the slice stays its maker's, who may read and refill it between runs.
type Tensor[T Element] struct {
	handle *onnx.Tensor[T]
	pin    runtime.Pinner
}

// NewTensor lends the first elements of data, as many as the shape holds, in row-major order. The
// slice must have an array of its own, not be a part of a struct that holds pointers (cgo's rule). Run writes the results
// into the slices of its outputs, without a copy. Close it when the runs are over.
func NewTensor[T Element](data []T, shape ...int64) (*Tensor[T], error) {
	if err := checkFits(shape, len(data)); err != nil {
		return nil, err
	}
	t := &Tensor[T]{}
	if len(data) > 0 {
		t.pin.Pin(&data[0])
	}
	handle, err := onnx.NewTensor(onnx.NewShape(shape...), data)
	if err != nil {
		t.pin.Unpin()
		return nil, fmt.Errorf("tensor %v over %d elements: %w", shape, len(data), err)
	}
	t.handle = handle
	return t, nil
}

// checkFits makes sure that the shape takes no more than n elements, without multiplying past the range of int64.
func checkFits(shape []int64, n int) error {
	left := int64(n)
	empty := slices.Contains(shape, 0)
	for _, d := range shape {
		if d < 0 || d > left && !empty {
			return fmt.Errorf("a tensor of shape %v does not fit %d elements", shape, n)
		}
		if !empty {
			left /= d
		}
	}
	if len(shape) == 0 {
		return fmt.Errorf("a tensor needs a shape: [1] for a single number")
	}
	return nil
}

// Data is the lent slice, cut to the shape.
func (t *Tensor[T]) Data() []T { return t.handle.GetData() }

// Close frees the handle and lets the slice go. It is nil-safe and may be called twice.
func (t *Tensor[T]) Close() {
	if t == nil || t.handle == nil {
		return
	}
	_ = t.handle.Destroy()
	t.handle = nil
	t.pin.Unpin()
}

func (t *Tensor[T]) value() onnx.Value { return t.handle }

// Lent are tensors that are closed together. The zero value is empty.
type Lent struct {
	closers []func()
	err     error
}

// Lend makes a tensor (see NewTensor) that l closes. It is nil where that failed: Err tells.
func Lend[T Element](l *Lent, data []T, shape ...int) Value {
	dims := make([]int64, len(shape))
	for i, d := range shape {
		dims[i] = int64(d)
	}
	tensor, err := NewTensor(data, dims...)
	if err != nil {
		if l.err == nil {
			l.err = err
		}
		return nil
	}
	l.closers = append(l.closers, tensor.Close)
	return tensor
}

// Err is the first error of making one of the tensors.
func (l *Lent) Err() error { return l.err }

// Close closes the tensors.
func (l *Lent) Close() {
	for _, c := range l.closers {
		c()
	}
	l.closers = nil
}
