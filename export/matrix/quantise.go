package matrix

import "math"

// turn rotates rows, [rows, in], block by block: each block of 2^n numbers is multiplied by the Hadamard matrix of its
// size, scaled to length 1, which spreads an outlier over its block. Turned activations times turned weights are what they
// were.
func turn(rows []float32, block int) {
	scale := float32(1 / math.Sqrt(float64(block)))
	Parallel(len(rows)/block, func(from, to int) {
		for at := from * block; at < to*block; at += block {
			b := rows[at : at+block]
			for half := 1; half < block; half *= 2 {
				for i := range b {
					if i&half == 0 {
						b[i], b[i+half] = b[i]+b[i+half], b[i]-b[i+half]
					}
				}
			}
			for i := range b {
				b[i] *= scale
			}
		}
	})
}

// hadamard is the matrix that turn multiplies by, [block, block]; it is its own transpose.
func hadamard(block int) []float32 {
	m := make([]float32, block*block)
	for i := range block {
		m[i*block+i] = 1
	}
	turn(m, block)
	return m
}

// pairSum is the most that the magnitudes of neighbouring weights of one sign may add up to: products with activations of
// up to 255 are then below 2^15, where the vector instructions of CPUs without VNNI saturate.
const pairSum = 128

// rounder rounds small numbers to whole ones, ties to even, when it is added and taken away again: there are no fractions of
// its size.
const rounder float32 = 3 << 22

// quantise8 turns a row of weights into steps of the size that it returns, so that the squared error is the least for
// which no pair goes over pairSum. Of the sizes between, the finest cut the few pairs that are too large.
func quantise8(to []int8, row []float32) (step float32) {
	peak, least := float32(0), math.Inf(1)
	for _, w := range row {
		peak = max(peak, w, -w)
	}
	if peak == 0 {
		clear(to)
		return 1
	}
	try := make([]int8, len(row))
	for levels := float32(64); levels <= 127; levels += 9 {
		if e := roundPairs(try, row, peak/levels); e < least {
			least, step = e, peak/levels
			copy(to, try)
		}
	}
	return step
}

// roundPairs rounds to steps, cuts pairs that are too large, and returns the squared error.
func roundPairs(to []int8, row []float32, step float32) (e float64) {
	inverse := 1 / step
	for i := 0; i < len(row); i += 2 {
		pair := row[i:min(i+2, len(row))]
		var q [2]int32
		for k, w := range pair {
			q[k] = int32(float32(w*inverse) + rounder - rounder)
		}
		if over := max(q[0]+q[1], -q[0]-q[1]) - pairSum; over > 0 && q[0]^q[1] >= 0 {
			sign := int32(1) | q[0]>>31
			q[0] -= sign * (over - over/2)
			q[1] -= sign * (over / 2)
		}
		for k, w := range pair {
			d := float64(w - float32(q[k])*step)
			e += d * d
			to[i+k] = int8(q[k])
		}
	}
	return e
}

// BlockSize is how many numbers of a row make a block of MatMulNBits.
const BlockSize = 32

// block4 turns numbers into 4-bit ones, two a byte, the first in the low half: number i is scale · (q − zero). The zero is a
// whole number of 0 to 15: for others ONNX Runtime has no kernel that multiplies without unpacking the matrix first, which
// takes ten times as long for a few rows.
func block4(to []byte, numbers []float32) (scale, zero float32) {
	low, high := float32(0), float32(0)
	for _, v := range numbers {
		low, high = min(low, v), max(high, v)
	}
	if scale = (high - low) / 15; scale == 0 {
		scale = 1
	}
	zero = float32(math.RoundToEven(float64(-low / scale)))
	for i := range to {
		to[i] = nibble(numbers[2*i], scale, zero) | nibble(numbers[2*i+1], scale, zero)<<4
	}
	return scale, zero
}

func nibble(v, scale, zero float32) byte {
	return byte(min(15, max(0, math.RoundToEven(float64(v/scale+zero)))))
}

// nibbles packs the zeros of block4, so many a row, two a byte; the last byte of a row may be half full.
func nibbles(zeros []float32, row int) []byte {
	var packed []byte
	for ; len(zeros) > 0; zeros = zeros[row:] {
		for i := 0; i < row; i += 2 {
			b := byte(zeros[i])
			if i+1 < row {
				b |= byte(zeros[i+1]) << 4
			}
			packed = append(packed, b)
		}
	}
	return packed
}

// block8 turns numbers into 8-bit ones: number i is scale · (q − 128).
func block8(to []byte, numbers []float32) (scale float32) {
	peak := float32(0)
	for _, v := range numbers {
		peak = max(peak, v, -v)
	}
	if peak == 0 {
		peak = 127
	}
	scale = peak / 127
	for i, v := range numbers {
		to[i] = byte(128 + int32(math.RoundToEven(float64(v/scale))))
	}
	return scale
}
