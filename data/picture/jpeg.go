package picture

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"slices"
)

// maxScans bounds the passes of a progressive JPEG: a few bytes make one that goes over every block. Files have ten or so.
const maxScans = 500

func decodeJPEG(data []byte, head image.Config) (*RGB, error) {
	if scans := bytes.Count(data, []byte{0xff, 0xda}); scans > maxScans {
		return nil, fmt.Errorf("it has %d scans; at most %d are decoded", scans, maxScans)
	}
	if head.ColorModel == color.CMYKModel {
		data = slices.Insert(slices.Clone(data), 2, adobe...)
	}
	m, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return fromImage(m)
}

// adobe is a segment that says CMYK and no YCCK. Go refuses four colours without such a word, Pillow takes them for
// Adobe's (255 is no ink). A file's own segment comes later and is what counts.
var adobe = []byte("\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00")
