package blip2

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"mllm4rec/export/weights"
	"mllm4rec/internal/fail"
)

// Pictures is how the model wants pictures: square, resized bicubically, values of 0 to 1 less Mean divided by Std, a
// number for red, green and blue each.
type Pictures struct {
	Size      int
	Mean, Std [3]float64
}

// picturesFile is what we read of preprocessor_config.json.
type picturesFile struct {
	Resize    *bool     `json:"do_resize"`
	Rescale   *bool     `json:"do_rescale"`
	Normalize *bool     `json:"do_normalize"`
	Mean      []float64 `json:"image_mean"`
	Std       []float64 `json:"image_std"`
	Resample  *int      `json:"resample"`
	Factor    *float64  `json:"rescale_factor"`
	Size      struct {
		Height, Width int
	} `json:"size"`
}

// bicubic is Pillow's number for it.
const bicubic = 3

// readPictures reads a folder's preprocessor_config.json, or the processor_config.json that has taken its place since 2025.
func readPictures(dir string, imageSize int) (Pictures, error) {
	path := filepath.Join(dir, "preprocessor_config.json")
	var f picturesFile
	var err error
	if _, missing := os.Stat(path); errors.Is(missing, fs.ErrNotExist) {
		path = filepath.Join(dir, "processor_config.json")
		var both struct {
			Image *picturesFile `json:"image_processor"`
		}
		err = weights.ReadJSON(path, "a BLIP-2 model says in preprocessor_config.json or processor_config.json how it wants pictures", &both)
		if err == nil && both.Image == nil {
			err = fail.Usagef("%s: it has no image_processor", path)
		}
		if err == nil {
			f = *both.Image
		}
	} else {
		err = weights.ReadJSON(path, "", &f)
	}
	if err != nil {
		return Pictures{}, err
	}
	p, err := f.pictures(imageSize)
	if err != nil {
		return Pictures{}, fail.Usagef("%s: %w", path, err)
	}
	return p, nil
}

func (f *picturesFile) pictures(imageSize int) (Pictures, error) {
	p := Pictures{
		Size: imageSize,
		Mean: [3]float64{0.48145466, 0.4578275, 0.40821073}, Std: [3]float64{0.26862954, 0.26130258, 0.27577711},
	}
	switch factor := or(f.Factor, 1./255); {
	case !or(f.Resize, true) || !or(f.Rescale, true) || !or(f.Normalize, true):
		return Pictures{}, errors.New("do_resize, do_rescale or do_normalize is false; other ways with pictures are not known")
	case or(f.Resample, bicubic) != bicubic:
		return Pictures{}, fmt.Errorf("resample is %d; only bicubic (%d) is known", *f.Resample, bicubic)
	case math.Abs(factor*255-1) > 1e-6:
		return Pictures{}, fmt.Errorf("rescale_factor is %v; only 1/255 is known", factor)
	case f.Size.Height != imageSize || f.Size.Width != imageSize:
		return Pictures{}, fmt.Errorf("size is %d × %d, the model's image_size %d", f.Size.Height, f.Size.Width, imageSize)
	}
	for _, list := range []struct {
		name string
		from []float64
		to   *[3]float64
	}{{"image_mean", f.Mean, &p.Mean}, {"image_std", f.Std, &p.Std}} {
		if list.from == nil {
			continue
		}
		if len(list.from) != 3 {
			return Pictures{}, fmt.Errorf("%s has %d numbers, want 3", list.name, len(list.from))
		}
		copy(list.to[:], list.from)
	}
	for _, std := range p.Std {
		if !(std > 0) {
			return Pictures{}, fmt.Errorf("image_std holds %v, it must be positive", std)
		}
	}
	return p, nil
}
