package picture

import (
	"bytes"
	"image"
	"image/gif"
	"slices"
)

// decodeGIF gives the first frame on its screen. Around the frame Pillow shows the transparent colour, or colour 0.
func decodeGIF(data []byte) (*RGB, error) {
	head, err := gif.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	data, outside := opaqueGIF(data)
	m, err := gif.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	frame := m.(*image.Paletted)
	if screen := image.Rect(0, 0, head.Width, head.Height); frame.Rect != screen {
		whole := image.NewPaletted(screen, frame.Palette)
		for i := range whole.Pix {
			whole.Pix[i] = outside
		}
		for y := range frame.Rect.Dy() {
			copy(whole.Pix[whole.PixOffset(frame.Rect.Min.X, frame.Rect.Min.Y+y):], frame.Pix[y*frame.Stride:][:frame.Rect.Dx()])
		}
		frame = whole
	}
	return fromPaletted(frame), nil
}

// opaqueGIF is the file without the mark of a transparent colour before the first frame, and that colour's number (0
// without one): Go's reader would put black for a colour that is in the palette.
func opaqueGIF(data []byte) (opaque []byte, transparent byte) {
	const screenBytes, tableFlag, transparentFlag = 13, 0x80, 1
	at := screenBytes
	if flags := data[10]; flags&tableFlag != 0 {
		at += 3 << (flags&7 + 1)
	}
	opaque, cloned := data, false
	for at+7 < len(data) && data[at] == '!' {
		if control := data[at+1] == 0xf9 && data[at+2] == 4; control && data[at+3]&transparentFlag != 0 {
			if !cloned {
				opaque, cloned = slices.Clone(data), true
			}
			opaque[at+3] &^= transparentFlag
			transparent = data[at+6]
		}
		at += 2
		for at < len(data) && data[at] != 0 {
			at += 1 + int(data[at])
		}
		at++
	}
	return opaque, transparent
}
