package caption

import (
	"context"
	"fmt"

	"mllm4rec/runtime/ort/modelfile"
)

// Captioner is an opened captioner for pictures that come one at a time. Its methods may be called from several goroutines at
// once; Close may not run beside them.
type Captioner struct{ model *model }

// OpenCaptioner opens a captioner and makes sure that it can caption so; ModelOptions.Batch counts for nothing.
func OpenCaptioner(o ModelOptions) (*Captioner, error) {
	o.Batch = 1
	m, err := openModel(o)
	if err != nil {
		return nil, err
	}
	return &Captioner{m}, nil
}

// Pixels is what the model reads of a picture's file. An error is one of the picture: it is damaged, of no known format, or
// has more than maxPixels.
func (c *Captioner) Pixels(data []byte, maxPixels int) ([]float32, error) {
	return c.model.normalised(data, maxPixels)
}

// Caption says what pixels show.
func (c *Captioner) Caption(ctx context.Context, pixels []float32) (string, error) {
	captions, err := c.model.captions(ctx, pixels)
	if err != nil {
		return "", err
	}
	if len(captions) != 1 {
		return "", fmt.Errorf("%d captions of one picture", len(captions))
	}
	return captions[0], nil
}

// Info is what the model's file says of itself.
func (c *Captioner) Info() *modelfile.Info { return c.model.captioner.Info() }

// Provider is what the model runs on, such as "cpu".
func (c *Captioner) Provider() string { return c.model.captioner.Provider() }

// Close frees the model.
func (c *Captioner) Close() error { return c.model.close() }
