package torch

import (
	"github.com/sugarme/gotch/libtch"

	"mllm4rec/internal/fail"
)

// Device is where the tensors of a Tape lie, and how they are multiplied.
type Device struct {
	code int32 // libtorch's: -1 is the CPU, 0 and above are GPUs
	// Half multiplies in bfloat16; sums along the layers and gradients of what learns stay in float32.
	Half bool
}

// CPU is libtorch's own operations on the CPU, which training for a GPU is tested with.
func CPU() Device { return Device{code: deviceCPU} }

// CUDA is a GPU as nvidia-smi numbers them.
func CUDA(index int) (Device, error) {
	if !libtch.AtcCudaIsAvailable() {
		return Device{}, fail.Usagef("libtorch finds no GPU: build with `make build CUDA=1` on a machine with an NVIDIA driver, or train on the CPU")
	}
	if n := int(libtch.AtcCudaDeviceCount()); index >= n {
		return Device{}, fail.Usagef("there is no GPU %d: libtorch finds %d", index, n)
	}
	return Device{code: int32(index)}, nil
}

// Kind is a tensor's type of numbers, by libtorch's code.
type Kind int32

// Kinds of tensors.
const (
	Uint8    Kind = 0
	Int8     Kind = 1
	Int32    Kind = 3
	Float32  Kind = kindFloat
	Bool     Kind = 11
	BFloat16 Kind = 15
)

// Kind is what products are computed in.
func (d Device) Kind() Kind {
	if d.Half {
		return BFloat16
	}
	return Float32
}
