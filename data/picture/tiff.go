package picture

import (
	"bytes"
	"errors"
	"image"

	"golang.org/x/image/tiff"
)

// headerTIFF gives the size in whole tiles, which are decoded whole: a picture one pixel wide may have large ones.
func headerTIFF(data []byte) (image.Config, error) {
	readable, _, err := asRGB(data)
	if err != nil {
		return image.Config{}, err
	}
	head, err := tiff.DecodeConfig(bytes.NewReader(readable))
	if err != nil {
		return image.Config{}, err
	}
	dir, err := openDirectory(data)
	head.Width = wholeTiles(head.Width, dir.value(tagTileWidth))
	head.Height = wholeTiles(head.Height, dir.value(tagTileLength))
	return head, err
}

func wholeTiles(pixels int, tile uint32) int {
	if tile == 0 {
		return pixels
	}
	return (pixels-1)/int(tile)*int(tile) + int(tile)
}

func decodeTIFF(data []byte, _ image.Config) (*RGB, error) {
	data, cmyk, err := asRGB(data)
	if err != nil {
		return nil, err
	}
	m, err := tiff.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	if cmyk {
		bytes, ok := m.(*image.NRGBA)
		if !ok {
			return nil, errors.New("CMYK of more than 8 bits a sample is not read")
		}
		return fromCMYK(&image.CMYK{Pix: bytes.Pix, Stride: bytes.Stride, Rect: bytes.Rect}), nil
	}
	switch m := m.(type) {
	case *image.RGBA:
		divideByAlpha(m.Pix, 4, 1)
	case *image.RGBA64:
		divideByAlpha(m.Pix, 8, 2)
	}
	return fromImage(m)
}

// asRGB says to Go's reader, which refuses them, that four inks, or three colours and something unspecified, are colours
// and alpha: the samples then come through as they are. It refuses what that reader would misread.
func asRGB(data []byte) (readable []byte, cmyk bool, err error) {
	dir, err := openDirectory(data)
	if err != nil {
		return nil, false, err
	}
	samples, photometric := dir.value(tagSamples), dir.value(tagPhotometric)
	if samples > 1 && dir.value(tagPlanes) == planesSeparate {
		return nil, false, errors.New("colours in planes of their own are not read")
	}
	cmyk = samples == 4 && photometric == photometricCMYK
	if padded := samples == 4 && photometric == photometricRGB && dir.value(tagExtra) == extraUnspecified; !padded && !cmyk {
		return data, false, nil
	}
	dir.set(tagPhotometric, photometricRGB)
	dir.set(tagExtra, extraAlpha)
	return dir.appendedTo(data), cmyk, nil
}

// divideByAlpha undoes colours that were multiplied by it, as Pillow does. Opaque ones stay.
func divideByAlpha(pix []byte, pixelBytes, sampleBytes int) {
	for ; len(pix) >= pixelBytes; pix = pix[pixelBytes:] {
		alpha := int32(pix[3*sampleBytes])
		if alpha == 255 {
			continue
		}
		for i := 0; i < 3*sampleBytes; i += sampleBytes {
			if alpha == 0 {
				pix[i] = 0
			} else {
				pix[i] = clip(255 * int32(pix[i]) / alpha)
			}
		}
	}
}
