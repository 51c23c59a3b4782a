package weights

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"mllm4rec/internal/mapfile"
)

// The block types of GGUF files that Decode knows, beside F32, F16 and BF16. No safetensors file holds them.
const (
	Q4_0 DType = "Q4_0"
	Q4_1 DType = "Q4_1"
	Q5_0 DType = "Q5_0"
	Q5_1 DType = "Q5_1"
	Q8_0 DType = "Q8_0"
	Q4_K DType = "Q4_K"
	Q5_K DType = "Q5_K"
	Q6_K DType = "Q6_K"
)

// coding is how a type stores numbers: so many in a block of so many bytes, and what turns whole blocks into float32.
type coding struct {
	elements, bytes int
	decode          func(dst []float32, raw []byte)
}

var codings = map[DType]coding{
	F32:  {1, 4, decodeF32},
	F64:  {1, 8, decodeF64},
	F16:  {1, 2, decodeF16},
	BF16: {1, 2, decodeBF16},
	Q4_0: {32, 18, decodeQ4_0},
	Q4_1: {32, 20, decodeQ4_1},
	Q5_0: {32, 22, decodeQ5_0},
	Q5_1: {32, 24, decodeQ5_1},
	Q8_0: {32, 34, decodeQ8_0},
	Q4_K: {256, 144, decodeQ4_K},
	Q5_K: {256, 176, decodeQ5_K},
	Q6_K: {256, 210, decodeQ6_K},
}

// Block tells how many numbers a block of the type holds in how many bytes; 0 and 0 for a type that Decode does not know.
func (d DType) Block() (elements, bytes int64) {
	c := codings[d]
	return int64(c.elements), int64(c.bytes)
}

// Decodable is an error that names the type where Decode does not know it.
func (d DType) Decodable() error {
	if _, ok := codings[d]; ok {
		return nil
	}
	names := make([]string, 0, len(codings))
	for _, known := range slices.Sorted(maps.Keys(codings)) {
		names = append(names, string(known))
	}
	return fmt.Errorf("it is %s where a floating-point type belongs: one of %s", d, strings.Join(names, ", "))
}

// grain is how many numbers a goroutine takes at a time: 256 KiB of float32.
const grain = 1 << 16

// Decode turns stored numbers into float32, on all cores where there are many: raw holds whole blocks of the type, dst has
// room for their numbers and no more. The result is bit for bit that of ggml's reference and of the gguf package.
func (d DType) Decode(dst []float32, raw []byte) error {
	if err := d.Decodable(); err != nil {
		return err
	}
	c := codings[d]
	blocks := len(raw) / c.bytes
	if len(raw)%c.bytes != 0 || blocks*c.elements != len(dst) {
		return fmt.Errorf("%d bytes of %s do not hold %d numbers", len(raw), d, len(dst))
	}
	each := max(1, grain/c.elements)
	if blocks <= each {
		c.decode(dst, raw)
		return nil
	}
	return c.parallel(dst, raw, blocks, each)
}

// parallel lets goroutines take so many blocks each until none is left.
func (c coding) parallel(dst []float32, raw []byte, blocks, each int) error {
	var next atomic.Int64
	var group sync.WaitGroup
	failures := make([]error, runtime.GOMAXPROCS(0))
	for worker := range failures {
		group.Go(func() {
			failures[worker] = mapfile.Guard(func() error {
				for {
					from := int(next.Add(int64(each))) - each
					if from >= blocks {
						return nil
					}
					to := min(from+each, blocks)
					c.decode(dst[from*c.elements:to*c.elements], raw[from*c.bytes:to*c.bytes])
				}
			})
		})
	}
	group.Wait()
	return errors.Join(failures...)
}

func decodeF32(dst []float32, raw []byte) {
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
}

func decodeF64(dst []float32, raw []byte) {
	for i := range dst {
		dst[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:])))
	}
}

func decodeF16(dst []float32, raw []byte) {
	for i := range dst {
		dst[i] = halfToFloat32(binary.LittleEndian.Uint16(raw[2*i:]))
	}
}

func decodeBF16(dst []float32, raw []byte) {
	for i := range dst {
		dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(raw[2*i:])) << 16)
	}
}

// halfToFloat32 widens an IEEE 754 binary16 number; every one has an exact float32.
func halfToFloat32(h uint16) float32 {
	sign := uint32(h>>15) << 31
	exponent, fraction := uint32(h>>10)&0x1f, uint32(h)&0x3ff
	switch exponent {
	case 0: // zero and subnormal numbers: fraction × 2^-24
		return math.Float32frombits(sign | math.Float32bits(float32(fraction)*0x1p-24))
	case 0x1f: // infinity and NaN
		return math.Float32frombits(sign | 0xff<<23 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+112)<<23 | fraction<<13)
}
