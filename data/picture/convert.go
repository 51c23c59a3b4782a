package picture

import (
	"fmt"
	"image"
	"image/color"
)

// fromImage is Pillow's convert("RGB") of what Go's decoders return.
func fromImage(m image.Image) (*RGB, error) {
	switch m := m.(type) {
	case *image.Gray:
		return fromGrey(m), nil
	case *image.Gray16:
		return fromGrey16(m.Pix, m.Stride, 2, m.Rect), nil
	case *image.RGBA: // opaque, or its reader has taken the alpha out
		return fromSamples(m.Pix, m.Stride, 4, 1, m.Rect), nil
	case *image.NRGBA:
		return fromSamples(m.Pix, m.Stride, 4, 1, m.Rect), nil
	case *image.RGBA64:
		return fromSamples(m.Pix, m.Stride, 8, 2, m.Rect), nil
	case *image.NRGBA64:
		return fromSamples(m.Pix, m.Stride, 8, 2, m.Rect), nil
	case *image.Paletted:
		return fromPaletted(m), nil
	case *image.CMYK:
		return fromCMYK(m), nil
	case *image.YCbCr:
		return fromYCbCr(m), nil
	}
	return nil, fmt.Errorf("pixels of the kind %T are not read", m)
}

func fromGrey(m *image.Gray) *RGB {
	p := newRGB(m.Rect.Dx(), m.Rect.Dy())
	for y := range p.Height {
		out := p.row(y)
		for _, v := range m.Pix[y*m.Stride:][:p.Width] {
			out[0], out[1], out[2] = v, v, v
			out = out[3:]
		}
	}
	return p
}

// fromGrey16 takes the first big-endian 16-bit sample of every pixel. Pillow calls such pictures I;16, in which what is
// above 255 is white.
func fromGrey16(pix []byte, stride, pixelBytes int, rect image.Rectangle) *RGB {
	p := newRGB(rect.Dx(), rect.Dy())
	for y := range p.Height {
		in := pix[y*stride:][:pixelBytes*p.Width]
		for out := p.row(y); len(out) >= 3; out, in = out[3:], in[pixelBytes:] {
			v := in[1]
			if in[0] > 0 {
				v = 255
			}
			out[0], out[1], out[2] = v, v, v
		}
	}
	return p
}

// fromSamples takes the first byte, the high one, of the first three samples of every pixel.
func fromSamples(pix []byte, stride, pixelBytes, sampleBytes int, rect image.Rectangle) *RGB {
	p := newRGB(rect.Dx(), rect.Dy())
	for y := range p.Height {
		in := pix[y*stride:][:pixelBytes*p.Width]
		for out := p.row(y); len(out) >= 3 && len(in) >= pixelBytes; out, in = out[3:], in[pixelBytes:] {
			out[0], out[1], out[2] = in[0], in[sampleBytes], in[2*sampleBytes]
		}
	}
	return p
}

func fromPaletted(m *image.Paletted) *RGB {
	palette := rgbPalette(m.Palette)
	p := newRGB(m.Rect.Dx(), m.Rect.Dy())
	for y := range p.Height {
		out := p.row(y)
		for _, v := range m.Pix[y*m.Stride:][:p.Width] {
			c := &palette[v]
			out[0], out[1], out[2] = c[0], c[1], c[2]
			out = out[3:]
		}
	}
	return p
}

// rgbPalette leaves alpha out; a colour that the palette lacks is black.
func rgbPalette(colours color.Palette) (palette [256][3]byte) {
	for i, c := range colours[:min(len(colours), len(palette))] {
		switch c := c.(type) {
		case color.RGBA:
			palette[i] = [3]byte{c.R, c.G, c.B}
		case color.NRGBA:
			palette[i] = [3]byte{c.R, c.G, c.B}
		default:
			r, g, b, _ := c.RGBA()
			palette[i] = [3]byte{byte(r >> 8), byte(g >> 8), byte(b >> 8)}
		}
	}
	return palette
}

func fromCMYK(m *image.CMYK) *RGB {
	p := newRGB(m.Rect.Dx(), m.Rect.Dy())
	for y := range p.Height {
		in := m.Pix[y*m.Stride:][:4*p.Width]
		for out := p.row(y); len(out) >= 3 && len(in) >= 4; out, in = out[3:], in[4:] {
			white := 255 - int32(in[3])
			for i := range 3 {
				out[i] = byte(white - by255(int32(in[i])*white))
			}
		}
	}
	return p
}

// by255 divides by 255 and rounds, as Pillow does.
func by255(v int32) int32 {
	v += 128
	return (v>>8 + v) >> 8
}
