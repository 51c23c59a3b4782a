package lora

/*
#include "quantise.h"
*/
import "C"

import (
	"math"
	"math/bits"
	"slices"
	"sync"
	"unsafe"
)

// nf4 is a tensor in 4-bit NormalFloat with double quantisation (QLoRA, arXiv 2305.14314): blocks of 64 weights share the
// largest absolute value as their scale; scales, less their mean, lie in 8 bits in blocks of 256 that share theirs. Every bit
// is that of bitsandbytes 0.50 on a CPU.
type nf4 struct {
	n      int
	packed []byte    // [(n+1)/2], the first of two weights in the high half
	codes  []byte    // [blocks], the scales' places in dynamicMap
	outer  []float32 // [blocks/256], the scales' scales
	offset float32   // the scales' mean
}

func (q *nf4) pack(values []float32) {
	scales := make([]float32, len(q.codes))
	C.nf4_pack(floats(values), size(q.n), byteAddress(q.packed), floats(scales))
	q.offset = mean(scales)
	for i := range scales {
		scales[i] -= q.offset
	}
	at := 0
	for block := range slices.Chunk(scales, outerSize) {
		q.outer[at/outerSize] = packDynamic(block, q.codes[at:])
		at += len(block)
	}
}

func (q *nf4) unpack(out []float32) {
	table := dynamicMap()
	C.nf4_unpack(byteAddress(q.packed), byteAddress(q.codes), floats(table.values[:]), floats(q.outer), C.float(q.offset), size(q.n), floats(out))
}

func byteAddress(x []byte) *C.uint8_t { return (*C.uint8_t)(unsafe.Pointer(unsafe.SliceData(x))) }

// gridSize is how finely packDynamic looks at numbers from -1 to 1. bitsandbytes does; the nearest value would be another
// for one code in 700.
const gridSize = 1 << 16

// dynamic is bitsandbytes' signed dynamic map of 8 bits (arXiv 1511.04561): its values, ascending, and of each number of the
// grid the place of the nearest.
type dynamic struct {
	values [256]float32
	places [gridSize]byte
}

// dynamicMap makes the map: seven decades up to 1, each cut into twice as many steps as the one below.
var dynamicMap = sync.OnceValue(func() *dynamic {
	values := []float32{0, 1}
	for decade := range 7 {
		steps := 1 << decade
		top := float32(math.Pow(10, float64(decade-6)))
		bounds := spread(0.1, 1, steps+1)
		for i := range steps {
			value := top * ((bounds[i] + bounds[i+1]) / 2)
			values = append(values, value, -value)
		}
	}
	slices.Sort(values)
	d := &dynamic{values: [256]float32(values)}
	place := 0
	for i := range d.places {
		at := float32(-1 + float32(2*i)/(gridSize-1))
		for place < 255 && (d.values[place]+d.values[place+1])/2 < at {
			place++
		}
		d.places[i] = byte(place)
	}
	return d
})

// spread is count numbers from first to last at equal distances, counted from the nearer end and rounded once, as PyTorch's
// linspace does.
func spread(first, last float32, count int) []float32 {
	numbers, step := make([]float32, count), float64((last-first)/float32(count-1))
	for i := range numbers {
		if i < count/2 {
			numbers[i] = float32(float64(first) + step*float64(i))
		} else {
			numbers[i] = float32(float64(last) - step*float64(count-1-i))
		}
	}
	return numbers
}

// packDynamic writes the codes of a block and returns its scale.
func packDynamic(block []float32, codes []byte) float32 {
	var high float32
	for _, x := range block {
		high = max(high, float32(math.Abs(float64(x))))
	}
	if high == 0 {
		clear(codes[:len(block)])
		return 0
	}
	places, inverse := &dynamicMap().places, 1/high
	for i, x := range block {
		v := min(max(float32(x*inverse), -1), 1)
		at := float32(float32((v+1)*0.5)*(gridSize-1)) + 0.5
		codes[i] = places[int(at)]
	}
	return high
}

// mean adds up as PyTorch does with AVX2 on one thread, which decides on the last bit: 32 sums of every 32nd number, each in
// levels of at least 16 numbers.
func mean(x []float32) float32 {
	lanes := 8
	if len(x) < lanes {
		lanes = 1
	}
	row := 4 * lanes
	whole, rest := len(x)/row*row, len(x)/lanes*lanes
	sums := levelSums(x[:whole], row)
	for i := whole; i < rest; i++ {
		sums[i%lanes] += x[i]
	}
	for i := lanes; i < row; i++ {
		sums[i%lanes] += sums[i]
	}
	var total float32
	for _, part := range x[rest:] {
		total += part
	}
	for _, part := range sums[:lanes] {
		total += part
	}
	return total / float32(len(x))
}

// levelSums adds up the columns of x [*, width]: 2^power sums of a level make one of the next, of four.
func levelSums(x []float32, width int) []float32 {
	const levels = 4
	rows := len(x) / width
	power := max(4, bits.Len(uint(max(rows, 1)-1))/levels)
	var sums [levels][]float32
	for level := range sums {
		sums[level] = make([]float32, width)
	}
	for row := range rows {
		addTo(sums[0], x[row*width:])
		for level := 1; level < levels && (row+1)%(1<<(level*power)) == 0; level++ {
			addTo(sums[level], sums[level-1])
			clear(sums[level-1])
		}
	}
	for level := 1; level < levels; level++ {
		addTo(sums[0], sums[level])
	}
	return sums[0]
}

func addTo(sum, x []float32) {
	for i := range sum {
		sum[i] += x[i]
	}
}
