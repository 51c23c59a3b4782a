package weights

import "encoding/binary"

// GGUF's blocks of 32 numbers, as ggml-common.h lays them out: a scale d in half precision, in the _1 types a minimum m,
// then quanta; of 4-bit ones the low nibbles are numbers 0 to 15 and the high nibbles 16 to 31, a fifth bit lies in a
// 32-bit word, number 0 lowest.
//
// A product is rounded to float32 before anything is added to it. The conversions around products say so: without them
// Go may fuse both into one rounding on some machines, and the result would not be ggml's.

const half = 16 // of a block's numbers

func scaleAt(block []byte, at int) float32 {
	return halfToFloat32(binary.LittleEndian.Uint16(block[at:]))
}

func decodeQ4_0(dst []float32, raw []byte) {
	for ; len(raw) >= 18; dst, raw = dst[32:], raw[18:] {
		d, quanta, out := scaleAt(raw, 0), raw[2:18], dst[:32]
		for i, q := range quanta {
			out[i] = d * float32(int32(q&15)-8)
			out[i+half] = d * float32(int32(q>>4)-8)
		}
	}
}

func decodeQ4_1(dst []float32, raw []byte) {
	for ; len(raw) >= 20; dst, raw = dst[32:], raw[20:] {
		d, m, quanta, out := scaleAt(raw, 0), scaleAt(raw, 2), raw[4:20], dst[:32]
		for i, q := range quanta {
			out[i] = float32(d*float32(int32(q&15))) + m
			out[i+half] = float32(d*float32(int32(q>>4))) + m
		}
	}
}

func decodeQ5_0(dst []float32, raw []byte) {
	for ; len(raw) >= 22; dst, raw = dst[32:], raw[22:] {
		d, high, quanta, out := scaleAt(raw, 0), binary.LittleEndian.Uint32(raw[2:]), raw[6:22], dst[:32]
		for i, q := range quanta {
			out[i] = d * float32(int32(uint32(q&15)|high>>i&1<<4)-16)
			out[i+half] = d * float32(int32(uint32(q>>4)|high>>(i+half)&1<<4)-16)
		}
	}
}

func decodeQ5_1(dst []float32, raw []byte) {
	for ; len(raw) >= 24; dst, raw = dst[32:], raw[24:] {
		d, m, high := scaleAt(raw, 0), scaleAt(raw, 2), binary.LittleEndian.Uint32(raw[4:])
		quanta, out := raw[8:24], dst[:32]
		for i, q := range quanta {
			out[i] = float32(d*float32(int32(uint32(q&15)|high>>i&1<<4))) + m
			out[i+half] = float32(d*float32(int32(uint32(q>>4)|high>>(i+half)&1<<4))) + m
		}
	}
}

func decodeQ8_0(dst []float32, raw []byte) {
	for ; len(raw) >= 34; dst, raw = dst[32:], raw[34:] {
		d, quanta, out := scaleAt(raw, 0), raw[2:34], dst[:32]
		for i, q := range quanta {
			out[i] = d * float32(int8(q))
		}
	}
}
