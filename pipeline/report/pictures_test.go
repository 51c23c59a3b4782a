package report

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"mllm4rec/data/table"
)

// writePictures gives the run of 60 items 50 pictures of noise, the worst that a JPEG can get, 240 × 480 pixels large; the picture
// of item 1 is damaged, that of item 2 is gone, and item 3's leads elsewhere. Where captions is set, all have one but item 4.
func writePictures(t *testing.T, dir string, captions bool) {
	t.Helper()
	var rows []table.Image
	var said []table.Caption
	random := rand.New(rand.NewPCG(5, 6))
	for item := int32(1); item <= 60; item++ {
		row := table.Image{ItemID: item, Status: "ok", Path: fmt.Sprintf("images/%d.png", item), SHA256: "00"}
		if item > 50 {
			row = table.Image{ItemID: item, Status: "failed", Reason: "<not found> & more"}
		}
		rows = append(rows, row)
		caption := table.Caption{ItemID: item, Caption: fmt.Sprintf("a <b>picture</b> of %d", item)}
		if item == 4 {
			caption.Caption, caption.Reason = "", "PNG: the file is cut short"
		}
		said = append(said, caption)
		if row.Status == "ok" {
			writePicture(t, filepath.Join(dir, row.Path), random)
		}
	}
	rows[2].Path = "../3.png"
	if err := table.WriteAll(filepath.Join(dir, imagesFile), rows); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, rows[0].Path), []byte("\x89PNG\r\n\x1a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, rows[1].Path)); err != nil {
		t.Fatal(err)
	}
	if captions {
		if err := table.WriteAll(filepath.Join(dir, captionsFile), said[:50]); err != nil {
			t.Fatal(err)
		}
	}
}

func writePicture(t *testing.T, path string, random *rand.Rand) {
	t.Helper()
	m := image.NewNRGBA(image.Rect(0, 0, 240, 480))
	for i := range m.Pix {
		m.Pix[i] = byte(random.Uint32())
	}
	var file bytes.Buffer
	if err := png.Encode(&file, m); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// embedded finds the pictures in a page.
var embedded = regexp.MustCompile(`<img src="data:image/jpeg;base64,([^"]*)"`)

func TestPicturesStandOnAContactSheet(t *testing.T) {
	t.Parallel()
	dir := writeRun(t, runShape{users: 30, items: 60})
	writePictures(t, dir, true)
	options := fullOptions()
	options.Pictures, options.Captions = true, true
	page := writePage(t, dir, options)
	found := embedded.FindAllStringSubmatch(page, -1)
	if n := len(found); n > sheetPictures || n < sheetPictures-3 || n != strings.Count(page, "src=") {
		t.Errorf("%d pictures of %d sources; three of 50 cannot be shown", n, strings.Count(page, "src="))
	}
	for _, m := range found {
		data, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(m[1], "&#43;", "+"))
		if err != nil {
			t.Fatal(err)
		}
		picture, err := jpeg.Decode(bytes.NewReader(data))
		if err != nil || picture.Bounds().Dx() != 80 || picture.Bounds().Dy() != 160 || len(data) > thumbnailBytes {
			t.Errorf("%d bytes, %v, %v", len(data), picture.Bounds(), err)
		}
	}
	for _, want := range []string{
		"24 of 49 captions, drawn by the seed", "<dt>Pictures ok</dt><dd>50</dd>", "<dt>Pictures failed</dt><dd>10</dd>", "<dt>Captions</dt><dd>49</dd>",
		"a &lt;b&gt;picture&lt;/b&gt; of ", "PNG: the file is cut short", "failed: &lt;not found&gt; &amp; more", "img-src data:",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if again := writePage(t, dir, options); again != page {
		t.Error("the same seed shows other pictures")
	}
}

// TestPicturesThatCannotBeShownSayWhy shows four items only, of which one has a picture.
func TestPicturesThatCannotBeShownSayWhy(t *testing.T) {
	t.Parallel()
	dir := writeRun(t, runShape{users: 30, items: 60})
	writePictures(t, dir, false)
	rows, err := table.ReadAll[table.Image](filepath.Join(dir, imagesFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := table.WriteAll(filepath.Join(dir, imagesFile), rows[:4]); err != nil {
		t.Fatal(err)
	}
	options := fullOptions()
	options.Pictures, options.Note = true, "there is no captioner"
	page := writePage(t, dir, options)
	for _, want := range []string{
		"4 of 4 pictures", "PNG: the file is cut short", "the picture&#39;s file is gone", "leads out of the run folder", "no caption", "Note: there is no captioner.",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if n := len(embedded.FindAllString(page, -1)); n != 1 {
		t.Errorf("%d pictures", n)
	}
}

func TestTablesOfAnEarlierRecipeAreNotShown(t *testing.T) {
	t.Parallel()
	dir := writeRun(t, runShape{users: 30, items: 60})
	writePictures(t, dir, true)
	if page := writePage(t, dir, fullOptions()); strings.Contains(page, "<img") || strings.Contains(page, "<h2>Pictures</h2>") {
		t.Error("there are pictures that the run knows nothing of")
	}
	if err := os.Remove(filepath.Join(dir, captionsFile)); err != nil {
		t.Fatal(err)
	}
	options := fullOptions()
	options.Captions = true
	if err := Write(t.Context(), dir, options); err == nil || !strings.Contains(err.Error(), captionsFile) {
		t.Errorf("captions that should be there: %v", err)
	}
}

func TestThumbnailsKeepProportionsAndAreNotEnlarged(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ width, height, toWidth, toHeight int }{
		{320, 160, 160, 80}, {100, 1000, 16, 160}, {3000, 1, 160, 1}, {40, 30, 40, 30}, {160, 160, 160, 160},
	} {
		dir := t.TempDir()
		m := image.NewGray(image.Rect(0, 0, c.width, c.height))
		m.Set(0, 0, color.White)
		var file bytes.Buffer
		if err := png.Encode(&file, m); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "p.png"), file.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := readThumbnail(dir, "p.png")
		if err != nil || got.Width != c.toWidth || got.Height != c.toHeight {
			t.Errorf("%d × %d becomes %d × %d, %v", c.width, c.height, got.Width, got.Height, err)
		}
	}
}
