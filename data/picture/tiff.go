package picture

import (
	"bytes"

	"golang.org/x/image/tiff"
)

func decodeTIFF(data []byte) (*RGB, error) {
	m, err := tiff.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return fromImage(m)
}
