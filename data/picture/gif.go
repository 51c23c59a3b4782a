package picture

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/gif"
	"slices"
)

func headerGIF(data []byte) (image.Config, error) {
	readable, _ := asPillow(data)
	return gif.DecodeConfig(bytes.NewReader(readable))
}

// decodeGIF gives the first frame on its screen.
func decodeGIF(data []byte, head image.Config) (*RGB, error) {
	readable, around := asPillow(data)
	m, err := gif.Decode(bytes.NewReader(readable))
	if err != nil {
		return nil, err
	}
	frame := m.(*image.Paletted)
	screen := image.Rect(0, 0, head.Width, head.Height)
	if frame.Rect == screen {
		return fromPaletted(frame), nil
	}
	whole := image.NewPaletted(screen, frame.Palette)
	for i := range whole.Pix {
		whole.Pix[i] = around
	}
	for y := range frame.Rect.Dy() {
		at := whole.PixOffset(frame.Rect.Min.X, frame.Rect.Min.Y+y)
		copy(whole.Pix[at:], frame.Pix[y*frame.Stride:][:frame.Rect.Dx()])
	}
	return fromPaletted(whole), nil
}

// asPillow changes, before the first frame, what Go's reader takes otherwise than Pillow: a transparent colour is not
// marked, so that it keeps its place in the palette, and the screen is large enough for the frame. around is the colour
// that Pillow shows outside of a frame: the transparent one, or 0.
func asPillow(data []byte) (readable []byte, around byte) {
	const (
		screenAt, flagsAt, screenBytes = 6, 10, 13
		tableFlag, transparentFlag     = 0x80, 1
		frameBytes                     = 9
	)
	if len(data) < screenBytes {
		return data, 0
	}
	readable = slices.Clone(data)
	at := screenBytes
	if flags := data[flagsAt]; flags&tableFlag != 0 {
		at += 3 << (flags&7 + 1)
	}
	for at+frameBytes < len(data) && data[at] == '!' {
		if control := data[at+1] == 0xf9 && data[at+2] == 4; control && data[at+3]&transparentFlag != 0 {
			readable[at+3] &^= transparentFlag
			around = data[at+6]
		}
		at = behindBlocks(data, at+2)
	}
	if at+frameBytes < len(data) && data[at] == ',' {
		growScreen(readable[screenAt:], data[at+1:])
	}
	return readable, around
}

// behindBlocks is the place behind a sequence of blocks, each with its length in front, that an empty one ends.
func behindBlocks(data []byte, at int) int {
	for at < len(data) && data[at] != 0 {
		at += 1 + int(data[at])
	}
	return at + 1
}

// growScreen takes the width and height of a screen, and the left, top, width and height of a frame.
func growScreen(screen, frame []byte) {
	for _, axis := range []int{0, 2} {
		extent := int(binary.LittleEndian.Uint16(frame[axis:])) + int(binary.LittleEndian.Uint16(frame[4+axis:]))
		if extent > int(binary.LittleEndian.Uint16(screen[axis:])) && extent <= 0xffff {
			binary.LittleEndian.PutUint16(screen[axis:], uint16(extent))
		}
	}
}
