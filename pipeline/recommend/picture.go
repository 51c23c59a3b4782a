package recommend

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"mllm4rec/runtime/serve"
)

// Caption says what a picture shows. One is decoded and captioned at a time: a large one takes hundreds of megabytes.
func (b *Backend) Caption(ctx context.Context, picture []byte) (*serve.Caption, error) {
	if b.captioner == nil {
		return nil, refused(noCaptioner, "", "no captioner is loaded")
	}
	t := begin()
	select {
	case b.captions <- struct{}{}:
		defer func() { <-b.captions }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	queued := time.Since(t.begun)
	pixels, err := b.captioner.Pixels(picture, maxPixels)
	if err != nil {
		return nil, refused(badPicture, "", "%v", err)
	}
	text, err := b.captioner.Caption(ctx, pixels)
	if err != nil {
		return nil, err
	}
	sum, timings := sha256.Sum256(picture), t.timings()
	timings.Queue, timings.Caption = milliseconds(queued), milliseconds(time.Since(t.begun)-queued)
	return &serve.Caption{Caption: text, SHA256: hex.EncodeToString(sum[:]), Models: serve.Models{Captioner: b.models.Captioner}, Timings: timings}, nil
}
