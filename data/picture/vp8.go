package picture

import "image"

// fromVP8 makes a lossy WebP's samples RGB as libwebp does (UpsampleRgbLinePair in upsampling.c, yuv.h): luma goes from 16
// to 235, where JPEG's, which Go's conversion assumes, goes from 0 to 255.
func fromVP8(m *image.YCbCr) *RGB {
	p := newRGB(m.Rect.Dx(), m.Rect.Dy())
	cb, cr := newChroma(m, m.Cb), newChroma(m, m.Cr)
	widen := func(wide, near, other []byte, _ bool) { meanOfFour(wide, near, other, 8, 8) }
	cb.widen, cr.widen = widen, widen
	for y := range p.Height {
		vp8Row(p.row(y), m.Y[y*m.YStride:][:p.Width], cb.row(y), cr.row(y))
	}
	return p
}

// vp8Row converts a row with libwebp's constants: products lose 8 bits, sums 6.
func vp8Row(out, luma, cb, cr []byte) {
	cb, cr = cb[:len(luma)], cr[:len(luma)]
	for i, l := range luma {
		y, u, v := int32(l)*19077>>8, int32(cb[i]), int32(cr[i])
		if len(out) < 3 { // tells the compiler
			return
		}
		out[0] = clip((y + v*26149>>8 - 14234) >> 6)
		out[1] = clip((y - u*6419>>8 - v*13320>>8 + 8708) >> 6)
		out[2] = clip((y + u*33050>>8 - 17685) >> 6)
		out = out[3:]
	}
}
