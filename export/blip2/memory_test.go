package blip2

import "testing"

func TestMemoryOfTheRealShapes(t *testing.T) {
	t.Parallel()
	c := &Config{
		Vision: Vision{Hidden: 1408, Layers: 39, Heads: 16, Intermediate: 6144, ImageSize: 224, PatchSize: 14},
		Text:   Text{Hidden: 2560, Layers: 32},
	}
	if got, want := c.pictureBytes(), 4*257*(1408+1408+2*6144); got != want {
		t.Errorf("a picture takes %d bytes, want %d", got, want)
	}
	if got, want := c.tokenBytes(), 2*4*32*2560; got != want {
		t.Errorf("a token takes %d bytes, want %d", got, want)
	}
	c.Vision.Intermediate = 1
	if got, want := c.pictureBytes(), 4*257*(1408+4*1408+16*257); got != want {
		t.Errorf("a picture takes %d bytes where attention takes the most, want %d", got, want)
	}
	c.Vision, c.Text = Vision{Hidden: maxWidth, Heads: maxWidth, ImageSize: maxSide, PatchSize: 1}, Text{Hidden: maxWidth, Layers: maxLayers}
	if c.pictureBytes() != maxPictureBytes || c.tokenBytes() != maxTokenBytes {
		t.Errorf("beyond all bounds: %d, %d", c.pictureBytes(), c.tokenBytes())
	}
}
