package lora

/*
#include "quantise.h"
*/
import "C"

import (
	"slices"
	"unsafe"

	"mllm4rec/internal/fail"
)

// Precisions are the forms that a base can be held in. Whatever the form, products see fp32 matrices.
//
//	fp32  32 bits a weight
//	bf16  16: exact for a checkpoint in bf16, else rounded to the nearest
//	int8  8.5: blocks of 64 weights share a scale, the largest of them is 127 (rows that share one lose more to outliers)
//	nf4   4.13: NormalFloat with double quantisation (QLoRA, arXiv 2305.14314), bit for bit as bitsandbytes
//
// Embeddings stay in their file; the head is never held in fewer than 16 bits.
var Precisions = []string{"fp32", "bf16", "int8", "nf4"}

// knownPrecision checks a name; none is fp32.
func knownPrecision(name string) (string, error) {
	if name == "" {
		return Precisions[0], nil
	}
	if !slices.Contains(Precisions, name) {
		return "", fail.Usagef("a base cannot be held in %q; there are %q", name, Precisions)
	}
	return name, nil
}

// compressed is a tensor in fewer bits.
type compressed interface {
	// pack takes the tensor's values.
	pack(values []float32)
	// unpack writes them to out, as they are after rounding.
	unpack(out []float32)
}

// newCompressed takes memory for n weights.
func newCompressed(r *room, precision string, n int) compressed {
	blocks := (n + blockSize - 1) / blockSize
	switch precision {
	case "bf16":
		return &bf16{elements[uint16](r, n)}
	case "int8":
		return &int8s{elements[int8](r, n), r.floats(blocks)}
	default:
		return &nf4{n, elements[byte](r, (n+1)/2), elements[byte](r, blocks), r.floats((blocks + outerSize - 1) / outerSize), 0}
	}
}

// Sizes of blocks that share a scale: of weights, and of scales.
const (
	blockSize = C.SCALE_BLOCK
	outerSize = C.OUTER_BLOCK
)

type bf16 struct{ values []uint16 }

func (b *bf16) pack(values []float32) { C.bf16_pack(floats(values), size(len(values)), b.c()) }
func (b *bf16) unpack(out []float32)  { C.bf16_unpack(b.c(), size(len(out)), floats(out)) }

func (b *bf16) c() *C.uint16_t { return (*C.uint16_t)(unsafe.Pointer(unsafe.SliceData(b.values))) }

type int8s struct {
	values []int8
	scales []float32 // [blocks]
}

func (b *int8s) pack(values []float32) {
	C.int8_pack(floats(values), size(len(values)), b.c(), floats(b.scales))
}

func (b *int8s) unpack(out []float32) {
	C.int8_unpack(b.c(), floats(b.scales), size(len(out)), floats(out))
}

func (b *int8s) c() *C.int8_t { return (*C.int8_t)(unsafe.Pointer(unsafe.SliceData(b.values))) }
