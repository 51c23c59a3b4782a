package ort

import (
	"syscall"
	"unsafe"
)

// signals are those that a handler can be set for: 1…64 without SIGKILL and SIGSTOP, which the kernel refuses.
const signals = 64

// action is the kernel's struct sigaction (32 bytes on 64-bit machines), read and written back without a look inside.
type action [64]byte

// keepSignals notes the process's signal handlers and returns the function that puts back those that changed since.
// ONNX Runtime's CUDA provider installs its own, without SA_ONSTACK, over those of Go: the next signal then ends the
// process with "non-Go code set up signal handler without SA_ONSTACK flag" (yalue/onnxruntime_go issue 140).
func keepSignals() func() {
	var before [signals + 1]action
	for s := 1; s <= signals; s++ {
		sigaction(s, nil, &before[s])
	}
	return func() {
		for s := 1; s <= signals; s++ {
			var now action
			if sigaction(s, nil, &now); now != before[s] {
				sigaction(s, &before[s], nil)
			}
		}
	}
}

// sigaction sets the action of signal s where set is not nil, and reads the old one where old is not nil.
func sigaction(s int, set, old *action) {
	const maskBytes = 8
	_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(s), uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(old)), maskBytes, 0, 0)
}
