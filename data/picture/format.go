package picture

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"

	"golang.org/x/image/bmp"
)

// format is a kind of file: how it begins ('?' is any byte), how its size and its pixels are read.
type format struct {
	name   string
	magic  string
	header func(data []byte) (image.Config, error)
	decode func(data []byte, head image.Config) (*RGB, error)
}

var formats = []format{
	{"JPEG", "\xff\xd8\xff", reads(jpeg.DecodeConfig), decodeJPEG},
	{"PNG", "\x89PNG\r\n\x1a\n", reads(png.DecodeConfig), decodePNG},
	{"GIF", "GIF87a", headerGIF, decodeGIF},
	{"GIF", "GIF89a", headerGIF, decodeGIF},
	{"WebP", "RIFF????WEBP", headerWebP, decodeWebP},
	{"BMP", "BM", reads(bmp.DecodeConfig), decodeBMP},
	{"TIFF", "II\x2a\x00", headerTIFF, decodeTIFF},
	{"TIFF", "MM\x00\x2a", headerTIFF, decodeTIFF},
}

func reads(config func(io.Reader) (image.Config, error)) func([]byte) (image.Config, error) {
	return func(data []byte) (image.Config, error) { return config(bytes.NewReader(data)) }
}

func formatOf(data []byte) (format, error) {
	if len(data) == 0 {
		return format{}, errors.New("the file is empty")
	}
	for _, f := range formats {
		if begins(data, f.magic) {
			return f, nil
		}
	}
	return format{}, fmt.Errorf("no JPEG, PNG, GIF, WebP, BMP or TIFF file: it begins with %q", data[:min(len(data), 16)])
}

func begins(data []byte, magic string) bool {
	if len(data) < len(magic) {
		return false
	}
	for i := range magic {
		if magic[i] != '?' && magic[i] != data[i] {
			return false
		}
	}
	return true
}

func decodePNG(data []byte, _ image.Config) (*RGB, error) {
	m, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	// Grey of 16 bits comes with alpha where one grey is transparent; it is then cut as grey, not as colour.
	const depthAt, colourAt, grey = 24, 25, 0
	if wide, ok := m.(*image.NRGBA64); ok && data[depthAt] == 16 && data[colourAt] == grey {
		return fromGrey16(wide.Pix, wide.Stride, 8, wide.Rect), nil
	}
	return fromImage(m)
}

func decodeBMP(data []byte, _ image.Config) (*RGB, error) {
	m, err := bmp.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return fromImage(m)
}
