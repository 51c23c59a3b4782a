package picture

import "image"

// fromYCbCr makes a JPEG's samples RGB as libjpeg does, which Pillow uses: chroma that is halved is interpolated ("fancy
// upsampling" in jdsample.c), where Go's own conversion repeats it, and products are rounded as in jdcolor.c.
func fromYCbCr(m *image.YCbCr) *RGB {
	p := newRGB(m.Rect.Dx(), m.Rect.Dy())
	cb, cr := newChroma(m, m.Cb), newChroma(m, m.Cr)
	for y := range p.Height {
		rgbRow(p.row(y), m.Y[y*m.YStride:][:p.Width], cb.row(y), cr.row(y))
	}
	return p
}

// rgbRow converts a row: JFIF's constants times 2^16.
func rgbRow(out, luma, cb, cr []byte) {
	cb, cr = cb[:len(luma)], cr[:len(luma)]
	for i, l := range luma {
		y, b, r := int32(l), int32(cb[i])-128, int32(cr[i])-128
		if len(out) < 3 { // tells the compiler
			return
		}
		out[0] = clip(y + (91881*r+32768)>>16)
		out[1] = clip(y + (32768-22554*b-46802*r)>>16)
		out[2] = clip(y + (116130*b+32768)>>16)
		out = out[3:]
	}
}

func clip(v int32) byte {
	if uint32(v) > 255 {
		v = ^(v >> 31) // 0 below, 255 above
	}
	return byte(v)
}
