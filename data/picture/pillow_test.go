package picture_test

import (
	"image"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"mllm4rec/data/picture"
	"mllm4rec/internal/testkit"
)

// pillowFiles are the pictures that testdata/pillow.py makes; what Pillow reads in FILE is in FILE.png.
func pillowFiles(t testing.TB) (files []string) {
	t.Helper()
	answers, err := filepath.Glob(filepath.Join("testdata", "pillow", "*.*.png"))
	if err != nil || len(answers) == 0 {
		t.Fatalf("no pictures: %v", err)
	}
	for _, answer := range answers {
		files = append(files, strings.TrimSuffix(answer, ".png"))
	}
	return files
}

// samples are those of an 8-bit RGB file, by Go's own reader.
func samples(t testing.TB, path string) (width, height int, pix []byte) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	m, err := png.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	rgba := m.(*image.RGBA)
	for i := 0; i < len(rgba.Pix); i += 4 {
		pix = append(pix, rgba.Pix[i:i+3]...)
	}
	return rgba.Rect.Dx(), rgba.Rect.Dy(), pix
}

// TestEveryKindIsReadAsPillowReadsIt: all but JPEG bit for bit.
func TestEveryKindIsReadAsPillowReadsIt(t *testing.T) {
	t.Parallel()
	for _, path := range pillowFiles(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			width, height, want := samples(t, path+".png")
			got := decodeFile(t, path)
			if got.Width != width || got.Height != height {
				t.Fatalf("%d × %d, want %d × %d", got.Width, got.Height, width, height)
			}
			if head, err := picture.ReadHeader(testkit.Must(os.ReadFile(path))(t)); err != nil || head.Width != width || head.Height != height {
				t.Errorf("the header says %+v, %v", head, err)
			}
			largest, mean := difference(t, got.Pix, want)
			t.Logf("largest difference %d, mean %.4f", largest, mean)
			if jpeg := strings.HasSuffix(path, ".jpg"); jpeg && mean > 0.2 || !jpeg && largest > 0 {
				t.Errorf("largest difference %d, mean %.4f", largest, mean)
			}
		})
	}
}

// TestResizeEqualsPillow: bit for bit, also where sizes fit no word, and where black and white noise overshoots.
func TestResizeEqualsPillow(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"45x31", "3x150", "1x1", "28x40"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join("testdata", "resized", name+".png")
			source := decodeFile(t, path)
			before := slices.Clone(source.Pix)
			for _, size := range []int{1, 2, 7, 28, 50} {
				_, _, want := samples(t, strings.TrimSuffix(path, "png")+strconv.Itoa(size)+".png")
				got := source.Resize(size)
				if largest, _ := difference(t, got.Pix, want); got.Width != size || got.Height != size || largest > 0 {
					t.Errorf("to %d: %d × %d, largest difference %d", size, got.Width, got.Height, largest)
				}
			}
			if !slices.Equal(source.Pix, before) {
				t.Error("the source has changed")
			}
		})
	}
}
