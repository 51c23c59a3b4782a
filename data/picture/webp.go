package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"io"

	"golang.org/x/image/webp"
)

// webpFile is what matters here of a WebP file: the first picture in it, where on a canvas it lies, and no alpha.
type webpFile struct {
	canvas image.Point
	frame  image.Rectangle
	still  []byte // a file with nothing but that picture
}

func headerWebP(data []byte) (image.Config, error) {
	file, err := openWebP(data)
	return image.Config{Width: file.canvas.X, Height: file.canvas.Y}, err
}

// decodeWebP leaves black, as Pillow does, what an animation's first frame does not cover.
func decodeWebP(data []byte, _ image.Config) (*RGB, error) {
	file, err := openWebP(data)
	if err != nil {
		return nil, err
	}
	m, err := webp.Decode(bytes.NewReader(file.still))
	if err != nil {
		return nil, err
	}
	p, err := rgbOfWebP(m)
	if err != nil || file.frame == image.Rect(0, 0, file.canvas.X, file.canvas.Y) {
		return p, err
	}
	whole := newRGB(file.canvas.X, file.canvas.Y)
	for y := range p.Height {
		copy(whole.row(file.frame.Min.Y + y)[3*file.frame.Min.X:], p.row(y))
	}
	return whole, nil
}

func rgbOfWebP(m image.Image) (*RGB, error) {
	if lossy, ok := m.(*image.YCbCr); ok {
		return fromVP8(lossy), nil
	}
	return fromImage(m)
}

// openWebP walks the chunks of a file (RFC 9649).
func openWebP(data []byte) (file webpFile, err error) {
	const riffHeader, extendedBytes, frameBytes = 12, 10, 16
	extended := false
	for rest := data[riffHeader:]; ; {
		name, body, after, err := chunk(rest)
		if err != nil {
			return webpFile{}, err
		}
		rest = after
		switch name {
		case "VP8X":
			if extended || len(body) < extendedBytes {
				return webpFile{}, errors.New("the VP8X chunk is damaged")
			}
			extended, file.canvas = true, image.Pt(uint24(body[4:])+1, uint24(body[7:])+1)
		case "ANMF":
			if !extended || len(body) < frameBytes {
				return webpFile{}, errors.New("the ANMF chunk is damaged")
			}
			file.frame.Min = image.Pt(2*uint24(body), 2*uint24(body[3:]))
			rest = body[frameBytes:]
		case "VP8 ", "VP8L":
			return file.with(name, body, extended)
		}
	}
}

// with completes the file by the chunk that holds the picture.
func (file webpFile) with(name string, body []byte, extended bool) (webpFile, error) {
	var still bytes.Buffer
	padding := len(body) & 1
	fmt.Fprintf(&still, "RIFF%sWEBP%s%s%s%s", uint32Bytes(12+len(body)+padding), name, uint32Bytes(len(body)), body, make([]byte, padding))
	file.still = still.Bytes()
	head, err := webp.DecodeConfig(bytes.NewReader(file.still))
	if err != nil {
		return webpFile{}, err
	}
	file.frame.Max = file.frame.Min.Add(image.Pt(head.Width, head.Height))
	if !extended {
		file.canvas = file.frame.Max
	}
	if file.frame.Max.X > file.canvas.X || file.frame.Max.Y > file.canvas.Y {
		return webpFile{}, fmt.Errorf("a frame of %d × %d pixels does not fit its place", head.Width, head.Height)
	}
	return file, nil
}

// chunk takes a chunk off a RIFF file; a byte fills one of an odd length up.
func chunk(data []byte) (name string, body, after []byte, err error) {
	const header = 8
	if len(data) < header {
		return "", nil, nil, io.ErrUnexpectedEOF
	}
	name, length, data := string(data[:4]), int64(binary.LittleEndian.Uint32(data[4:])), data[header:]
	if length > int64(len(data)) {
		return "", nil, nil, io.ErrUnexpectedEOF
	}
	body, after = data[:length], data[length:]
	return name, body, after[min(length&1, int64(len(after))):], nil
}

func uint24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

func uint32Bytes(v int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(v)) }
