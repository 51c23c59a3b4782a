package weights

// GGUF's "k-quants": super-blocks of 256 numbers, in groups with small integer scales of their own, as ggml-common.h lays
// them out.

// scaleAndMin unpacks the 6-bit scale and minimum of one of the eight groups of 32 in a Q4_K or Q5_K super-block: the
// first four lie in the low bits of bytes 0–3 and 4–7, the last four in the nibbles of bytes 8–11 with their top two bits
// in the top bits of bytes 0–3 and 4–7.
func scaleAndMin(packed []byte, group int) (scale, minimum float32) {
	if group < 4 {
		return float32(packed[group] & 63), float32(packed[group+4] & 63)
	}
	nibbles := packed[group+4]
	return float32(nibbles&15 | packed[group-4]>>6<<4), float32(nibbles>>4 | packed[group]>>6<<4)
}

// decodeQ4_K: d, dmin, 12 bytes of scales, 128 bytes of quanta; each 32 bytes hold a group in their low nibbles and the
// next in their high ones.
func decodeQ4_K(dst []float32, raw []byte) {
	for ; len(raw) >= 144; dst, raw = dst[256:], raw[144:] {
		d, dmin, scales := scaleAt(raw, 0), scaleAt(raw, 2), raw[4:16]
		for pair := range 4 {
			quanta, out := raw[16+32*pair:][:32], dst[64*pair:][:64]
			s0, m0 := scaleAndMin(scales, 2*pair)
			s1, m1 := scaleAndMin(scales, 2*pair+1)
			d0, min0, d1, min1 := float32(d*s0), float32(dmin*m0), float32(d*s1), float32(dmin*m1)
			for i, q := range quanta {
				out[i] = float32(d0*float32(int32(q&15))) - min0
				out[i+32] = float32(d1*float32(int32(q>>4))) - min1
			}
		}
	}
}

// decodeQ5_K is Q4_K with a fifth bit: bit g of byte i of the 32 bytes before the quanta belongs to number i of group g.
func decodeQ5_K(dst []float32, raw []byte) {
	for ; len(raw) >= 176; dst, raw = dst[256:], raw[176:] {
		d, dmin, scales, high := scaleAt(raw, 0), scaleAt(raw, 2), raw[4:16], raw[16:48]
		for pair := range 4 {
			quanta, out := raw[48+32*pair:][:32], dst[64*pair:][:64]
			s0, m0 := scaleAndMin(scales, 2*pair)
			s1, m1 := scaleAndMin(scales, 2*pair+1)
			d0, min0, d1, min1 := float32(d*s0), float32(dmin*m0), float32(d*s1), float32(dmin*m1)
			for i, q := range quanta {
				h := high[i] >> (2 * pair)
				out[i] = float32(d0*float32(int32(q&15|h&1<<4))) - min0
				out[i+32] = float32(d1*float32(int32(q>>4|h&2<<3))) - min1
			}
		}
	}
}

// decodeQ6_K: 128 bytes of low nibbles, 64 bytes of two high bits, 16 signed scales for groups of 16, d. Each half of the
// super-block has 64 bytes of low nibbles and 32 of high bits for four runs of 32 numbers.
func decodeQ6_K(dst []float32, raw []byte) {
	for ; len(raw) >= 210; dst, raw = dst[256:], raw[210:] {
		d := scaleAt(raw, 208)
		for part := range 2 {
			low, high := raw[64*part:][:64], raw[128+32*part:][:32]
			scales, out := raw[192+8*part:][:8], dst[128*part:][:128]
			var s [8]float32
			for i := range s {
				s[i] = d * float32(int8(scales[i]))
			}
			for i, h := range high {
				g := i / 16
				a, b := low[i], low[i+32]
				out[i] = s[g] * float32(int32(a&15|h&3<<4)-32)
				out[i+32] = s[g+2] * float32(int32(b&15|h>>2&3<<4)-32)
				out[i+64] = s[g+4] * float32(int32(a>>4|h>>4&3<<4)-32)
				out[i+96] = s[g+6] * float32(int32(b>>4|h>>6<<4)-32)
			}
		}
	}
}
