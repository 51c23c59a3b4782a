package weights

import "math"

// Half rounds to the nearest IEEE 754 binary16 number, ties to even; what is too large becomes infinite.
func Half(v float32) uint16 {
	bits := math.Float32bits(v)
	sign, exponent := uint16(bits>>16)&0x8000, int(bits>>23&0xff)-127
	switch {
	case v != v:
		return sign | 0x7e00
	case exponent > 15:
		return sign | 0x7c00
	case exponent < -25:
		return sign
	}
	fraction, drop := bits&0x7fffff|0x800000, 13
	if exponent < -14 { // subnormal: multiples of 2^-24
		drop, exponent = -1-exponent, -15
	}
	whole := fraction >> drop
	rest := fraction & (1<<drop - 1)
	if tie := uint32(1) << (drop - 1); rest > tie || rest == tie && whole&1 == 1 {
		whole++
	}
	if exponent == -15 {
		return sign | uint16(whole)
	}
	return sign | uint16(uint32(exponent+14)<<10+whole) // the leading one adds to the exponent, and so does a carry
}

// Bfloat rounds to the nearest bfloat16 number, ties to even.
func Bfloat(v float32) uint16 {
	bits := math.Float32bits(v)
	if v != v {
		return uint16(bits>>16) | 0x40
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}
