package report

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"image"
	"image/jpeg"
	"os"
	"path/filepath"

	"mllm4rec/data/picture"
)

const (
	thumbnailSide  = 160      // pixels
	thumbnailBytes = 12 << 10 // of a JPEG that looks as it should; larger ones lose quality
)

// thumbnail is a small copy of a picture, as an address that holds it.
type thumbnail struct {
	Data          template.URL
	Width, Height int
}

// open makes the thumbnail of the picture in the run folder, or says why there is none.
func (p *pictured) open(dir string) {
	if p.path == "" {
		return
	}
	var err error
	if p.thumbnail, err = readThumbnail(dir, filepath.FromSlash(p.path)); err != nil {
		p.Reason = shorten(err.Error())
	}
}

func readThumbnail(dir, name string) (thumbnail, error) {
	if !filepath.IsLocal(name) {
		return thumbnail{}, errors.New("the picture's path leads out of the run folder")
	}
	path := filepath.Join(dir, name)
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return thumbnail{}, errors.New("the picture's file is gone")
	case err != nil:
		return thumbnail{}, err
	case !info.Mode().IsRegular() || info.Size() > picture.MaxBytes:
		return thumbnail{}, errors.New("the picture's file is none that can be read")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return thumbnail{}, err
	}
	p, err := picture.Decode(data)
	if err != nil {
		return thumbnail{}, err
	}
	return newThumbnail(p.Fit(thumbnailSide))
}

func newThumbnail(p *picture.RGB) (thumbnail, error) {
	m := image.NewRGBA(image.Rect(0, 0, p.Width, p.Height))
	for i := range p.Width * p.Height {
		copy(m.Pix[4*i:], p.Pix[3*i:3*i+3])
		m.Pix[4*i+3] = 0xFF
	}
	var file bytes.Buffer
	for _, quality := range []int{80, 60, 30} {
		file.Reset()
		if err := jpeg.Encode(&file, m, &jpeg.Options{Quality: quality}); err != nil {
			return thumbnail{}, fmt.Errorf("thumbnail: %w", err)
		}
		if file.Len() <= thumbnailBytes {
			break
		}
	}
	address := "data:image/jpeg;base64," + base64.StdEncoding.EncodeToString(file.Bytes())
	return thumbnail{template.URL(address), p.Width, p.Height}, nil
}
