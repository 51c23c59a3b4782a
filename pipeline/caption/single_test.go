package caption_test

import (
	"strings"
	"testing"

	"mllm4rec/pipeline/caption"
)

func TestASinglePictureGetsTheCaptionThatItsFolderGivesIt(t *testing.T) {
	t.Parallel()
	o := newOptions(t)
	data := painted(t, 8)
	put(t, o, "p.png", data)
	rows, _ := run(t, o)
	c, err := caption.OpenCaptioner(o.Model)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	pixels, err := c.Pixels(data, 63)
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Caption(t.Context(), pixels)
	if err != nil || got != rows[0].Caption || c.Info().Fingerprint() != rows[0].Model {
		t.Errorf("%q, %v, want %+v", got, err, rows[0])
	}
	if _, err := c.Pixels(data, 62); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("a picture of 63 pixels where 62 are allowed: %v", err)
	}
	if _, err := c.Pixels(data[:len(data)/2], 63); err == nil {
		t.Error("half a picture was taken")
	}
}
