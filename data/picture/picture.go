// Package picture turns the bytes of a picture into what BLIP-2's vision model reads: Decode gives 8-bit RGB, Resize a
// square, Normalise float32 [3, size, size]. Every step follows Pillow, with which the models were trained
// (convert("RGB"), then resize(…, BICUBIC)): alpha is dropped and not blended, EXIF orientation is ignored, samples of
// 16 bits are cut as Pillow cuts them.
package picture

import (
	"errors"
	"fmt"
	"image"
	"io"
	"strings"

	"github.com/dustin/go-humanize"
)

// The limits of what Decode takes. A picture of MaxPixels needs up to 1 GB while it is decoded (a progressive JPEG).
const (
	MaxBytes  = 64 << 20   // of a file
	MaxPixels = 50_000_000 // width × height: the largest that cameras make
	MaxSide   = 65_535     // of width and of height, as JPEG has it: resizing takes 56 bytes for each pixel of a side
)

// RGB is a picture: Pix holds [height, width, 3] bytes.
type RGB struct {
	Width, Height int
	Pix           []byte
}

func newRGB(width, height int) *RGB {
	return &RGB{width, height, make([]byte, 3*width*height)}
}

func (p *RGB) row(y int) []byte {
	return p.Pix[3*p.Width*y:][:3*p.Width]
}

// Decode reads a JPEG, PNG, GIF (the first frame), WebP (of an animated one the first frame), BMP or TIFF file, told apart
// by their first bytes. What is larger than MaxBytes, MaxPixels or MaxSide is refused before memory is taken for it. Errors are one
// line and do not name the file: the caller knows it. Decode may be called from many goroutines at once.
func Decode(data []byte) (*RGB, error) { return DecodeWithin(data, MaxPixels) }

// DecodeWithin is Decode for pictures of up to maxPixels pixels.
func DecodeWithin(data []byte, maxPixels int) (p *RGB, err error) {
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("the file has %s; at most %s are read", humanize.IBytes(uint64(len(data))), humanize.IBytes(MaxBytes))
	}
	f, err := formatOf(data)
	if err != nil {
		return nil, err
	}
	// The decoders are others' and the bytes are a stranger's: what trips one over costs a picture, not the run.
	defer func() {
		if r := recover(); r != nil {
			p, err = nil, fmt.Errorf("%s: the file is damaged: %v", f.name, r)
		}
	}()
	if p, err = f.read(data, maxPixels); err != nil {
		return nil, fmt.Errorf("%s: %w", f.name, plain(err))
	}
	return p, nil
}

// Header is what a file says of itself, as Decode reads it.
type Header struct {
	// Format is JPEG, PNG, GIF, WebP, BMP or TIFF; empty is none of them.
	Format        string
	Width, Height int
}

// ReadHeader reads format and size and takes no memory for pixels. The size may be one that Decode refuses; beside an error the
// format is there if it is known.
func ReadHeader(data []byte) (h Header, err error) {
	f, err := formatOf(data)
	if err != nil {
		return Header{}, err
	}
	defer func() {
		if r := recover(); r != nil { // as in DecodeWithin
			h, err = Header{Format: f.name}, fmt.Errorf("the file is damaged: %v", r)
		}
	}()
	head, err := f.header(data)
	if err != nil {
		return Header{Format: f.name}, plain(err)
	}
	return Header{f.name, head.Width, head.Height}, nil
}

func (f format) read(data []byte, maxPixels int) (*RGB, error) {
	head, err := f.header(data)
	if err != nil {
		return nil, err
	}
	if err := checkSize(head, maxPixels); err != nil {
		return nil, err
	}
	return f.decode(data, head)
}

func checkSize(head image.Config, maxPixels int) error {
	if head.Width <= 0 || head.Height <= 0 {
		return fmt.Errorf("a picture of %d × %d pixels is empty", head.Width, head.Height)
	}
	if head.Width > maxPixels/head.Height {
		return fmt.Errorf("a picture of %d × %d pixels is too large; at most %s pixels are decoded", head.Width, head.Height, humanize.Comma(int64(maxPixels)))
	}
	if max(head.Width, head.Height) > MaxSide {
		return fmt.Errorf("a picture of %d × %d pixels is too long; at most %s pixels a side are decoded", head.Width, head.Height, humanize.Comma(MaxSide))
	}
	return nil
}

// plain is a decoder's error without its package's name, which the format's stands in for, on one line.
func plain(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the file is cut short")
	}
	text := err.Error()
	for _, prefix := range []string{"png: ", "gif: ", "bmp: ", "tiff: ", "webp: ", "vp8: ", "vp8l: ", "riff: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return errors.New(strings.Join(strings.Fields(text), " "))
}
