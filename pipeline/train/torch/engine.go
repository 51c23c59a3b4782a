// Package torch holds what training with libtorch needs whatever the model: matrices with one visible owner, products of
// them, the fused optimiser, reproducible dropout.
//
// It calls gotch's C binding (libtch) and not its ts package: a ts.Tensor costs 100 KB of Go memory and a finaliser, and
// some of its methods end the process on an error. Matrices live until Free; nothing records gradients (models here write
// their own backward pass), so libtorch's thread-local grad mode never matters.
package torch

/*
#cgo CFLAGS: -O3 -fopenmp -Wall
#cgo LDFLAGS: -lm
#include <stdlib.h>
#include "kernels.h"
#include "vector.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/sugarme/gotch/libtch"
)

// Engine owns a thread and the first error that happened on it: after an error every call does nothing, so that a step is
// written without checks and asks Err once. An engine belongs to one goroutine.
type Engine struct {
	threads int
	err     error
	live    int
}

// NewEngine locks the calling goroutine to its thread (libtorch keeps errors and thread counts there) until Close. threads 0
// is one a CPU; there are MAX_THREADS at most, and not more than MKL takes: the machine's cores, or MKL_NUM_THREADS.
func NewEngine(threads int) *Engine {
	if threads <= 0 {
		threads = runtime.NumCPU()
	}
	threads = min(threads, C.MAX_THREADS)
	runtime.LockOSThread()
	C.set_threads(C.int(threads))
	e := &Engine{}
	e.NewMatrix(1, 1<<16).Free() // the first operation that a thread shares out sets its number of threads to MKL's: now, not in a step
	e.threads = min(threads, threadsNow())
	C.set_threads(C.int(e.threads))
	return e
}

// threadsNow is how many threads the next operation of the calling thread gets.
func threadsNow() int { return int(C.get_threads()) }

// Close gives the thread back. It returns Err, or an error when matrices were not freed.
func (e *Engine) Close() error {
	runtime.UnlockOSThread()
	if e.err == nil && e.live != 0 {
		return fmt.Errorf("torch: %d matrices were not freed", e.live)
	}
	return e.err
}

// CloseAfter closes the engine where work has ended with err. Close's error counts where err is nil: otherwise it is the same
// one once more.
func (e *Engine) CloseAfter(err error) error {
	if closed := e.Close(); err == nil {
		return closed
	}
	return err
}

// Err is the first error since NewEngine.
func (e *Engine) Err() error { return e.err }

// Threads is how many threads an operation uses at most: kernels have memory for each.
func (e *Engine) Threads() int { return e.threads }

// fail keeps the first error.
func (e *Engine) fail(format string, args ...any) {
	if e.err == nil {
		e.err = fmt.Errorf("torch: "+format, args...)
	}
}

// check takes libtorch's last error on this thread, if there is one.
func (e *Engine) check(operation string) {
	text := libtch.GetAndResetLastErr()
	if text == nil {
		return
	}
	defer C.free(unsafe.Pointer(text))
	e.fail("%s: %w", operation, errors.New(firstLine(C.GoString((*C.char)(unsafe.Pointer(text))))))
}

// firstLine cuts the C++ stack trace that libtorch appends to its messages.
func firstLine(text string) string {
	for i, c := range text {
		if c == '\n' {
			return text[:i]
		}
	}
	return text
}
