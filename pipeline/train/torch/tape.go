package torch

import (
	"slices"
	"unsafe"

	"github.com/sugarme/gotch/libtch"
)

// Tensor lies on a tape's device until the tape is closed.
type Tensor struct{ handle libtch.Ctensor }

// Exists is false for the zero Tensor.
func (x Tensor) Exists() bool { return x.handle != nil }

// Tape makes tensors on a device and frees them together. Where it learns, libtorch records what is computed, for Backward. After
// an error of its engine every call does nothing.
type Tape struct {
	engine  *Engine
	device  Device
	handles []libtch.Ctensor
	inner   bool
}

// NewTape is an empty one. libtorch records on it only where learns is said, and until another is made.
func (e *Engine) NewTape(device Device, learns bool) *Tape {
	record := 0
	if learns {
		record = 1
	}
	libtch.AtGradSetEnabled(record)
	e.check("recording")
	return &Tape{engine: e, device: device}
}

// Inner is a tape for what t needs for a moment. What libtorch records stays as it is.
func (t *Tape) Inner() *Tape { return &Tape{engine: t.engine, device: t.device, inner: true} }

// Close frees all tensors.
func (t *Tape) Close() {
	for _, handle := range t.handles {
		libtch.AtFree(handle)
	}
	t.engine.live -= len(t.handles)
	t.handles = nil
	if !t.inner {
		libtch.AtGradSetEnabled(0)
	}
}

// Move hands x over to another tape, which frees it.
func (t *Tape) Move(x Tensor, to *Tape) Tensor {
	if i := slices.Index(t.handles, x.handle); i >= 0 {
		t.handles = slices.Delete(t.handles, i, i+1)
		to.handles = append(to.handles, x.handle)
	}
	return x
}

// Free frees tensors before the tape is closed.
func (t *Tape) Free(tensors ...Tensor) {
	for _, x := range tensors {
		if i := slices.Index(t.handles, x.handle); i >= 0 {
			t.handles = slices.Delete(t.handles, i, i+1)
			libtch.AtFree(x.handle)
			t.engine.live--
		}
	}
}

// own makes a tensor that the tape frees, by one call of libtorch.
func (t *Tape) own(operation string, call func(out *libtch.Ctensor)) Tensor {
	if t.engine.err != nil {
		return Tensor{}
	}
	var handle libtch.Ctensor // libtorch writes here: cgo allows no pointer into Go memory that holds pointers
	call(&handle)
	if t.engine.check(operation); t.engine.err != nil {
		return Tensor{}
	}
	t.handles = append(t.handles, handle)
	t.engine.live++
	return Tensor{handle}
}

// Upload copies numbers to the device, as a tensor of that shape.
func Upload[T float32 | int32 | int8 | byte](t *Tape, values []T, shape ...int) Tensor {
	kind := map[any]Kind{float32(0): Float32, int32(0): Int32, int8(0): Int8, byte(0): Uint8}[any(*new(T))]
	here := t.own("upload", func(out *libtch.Ctensor) {
		*out = libtch.AtTensorOfData(unsafe.Pointer(unsafe.SliceData(values)), sizes(shape), uint(len(shape)), uint(unsafe.Sizeof(*new(T))), int(kind))
	})
	if t.device.code == deviceCPU {
		return here
	}
	defer t.Free(here) // the host needs no copy
	return t.own("upload", func(out *libtch.Ctensor) { libtch.AtgTo(out, here.handle, t.device.code) })
}

// Download copies a tensor's numbers to out, which has its size.
func (t *Tape) Download(x Tensor, out []float32) {
	x = t.To(x, Float32)
	if t.engine.err != nil || len(out) == 0 {
		return
	}
	libtch.AtCopyData(x.handle, unsafe.Pointer(unsafe.SliceData(out)), uint(len(out)), uint(unsafe.Sizeof(out[0])))
	t.engine.check("download")
}

// Learns makes a tensor of this tape one that Backward computes the gradient of.
func (t *Tape) Learns(x Tensor) Tensor {
	if t.engine.err != nil {
		return x
	}
	return t.own("learn", func(out *libtch.Ctensor) { libtch.AtgSetRequiresGrad(out, x.handle, 1) })
}

// Backward computes the gradients of Σ x·weights for all that learns; weights has x's shape.
func (t *Tape) Backward(x, weights Tensor) {
	parts := t.Mul(x, weights)
	sum := t.own("backward", func(out *libtch.Ctensor) { libtch.AtgSum(out, parts.handle, int32(Float32)) })
	if t.engine.err != nil {
		return
	}
	libtch.AtBackward(sum.handle, 0, 0)
	t.engine.check("backward")
}

// Gradient is that of a tensor that learns, after Backward.
func (t *Tape) Gradient(x Tensor) Tensor {
	return t.own("gradient", func(out *libtch.Ctensor) { libtch.AtgGrad(out, x.handle) })
}

func sizes(shape []int) []int64 {
	out := make([]int64, len(shape))
	for i, n := range shape {
		out[i] = int64(n)
	}
	return out
}
