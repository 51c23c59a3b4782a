package images

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	_ "image/gif" // what is read: see extensions
	_ "image/jpeg"
	_ "image/png"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	_ "golang.org/x/image/bmp" // see extensions, too
	_ "golang.org/x/image/tiff"
	_ "golang.org/x/image/webp"

	pictures "mllm4rec/data/picture"
	"mllm4rec/data/table"
	"mllm4rec/internal/atomicfile"
)

// maxPixels is the largest picture that is taken: more would not be captioned.
const maxPixels = pictures.MaxPixels

// extensions are the formats that are read, as package image calls them, and how their files end.
var extensions = map[string]string{"jpeg": ".jpg", "png": ".png", "gif": ".gif", "webp": ".webp", "bmp": ".bmp", "tiff": ".tif"}

// picture is a file that came.
type picture struct {
	Source string `json:"source"`
	SHA256 string `json:"sha256"`
	// Format is a key of extensions; empty for a placeholder.
	Format string `json:"format,omitempty"`
	Width  int    `json:"width,omitempty"`
	Height int    `json:"height,omitempty"`
	Bytes  int64  `json:"bytes"`
}

// name is the file's path in Options.Out, with slashes.
func (p picture) name() string {
	return Folder + "/" + p.SHA256[:2] + "/" + p.SHA256 + extensions[p.Format]
}

// fill writes what is known of the picture into a row.
func (p picture) fill(row *table.Image) {
	row.Status, row.Source, row.SHA256, row.Bytes = OK, p.Source, p.SHA256, p.Bytes
	if p.Format != "" {
		row.Path, row.Width, row.Height = p.name(), int32(p.Width), int32(p.Height)
	}
}

// store keeps pictures under the SHA-256 of their bytes.
type store struct {
	dir  string
	skip map[string]bool
}

// openStore makes the folder, and clears away what killed runs left half written.
func openStore(dir string, placeholders []string) (*store, error) {
	s := &store{dir: dir, skip: map[string]bool{}}
	for _, sum := range placeholders {
		s.skip[strings.ToLower(sum)] = true
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	folders, err := filepath.Glob(filepath.Join(dir, "??"))
	if err != nil {
		return nil, err
	}
	return s, atomicfile.Sweep(append(folders, dir)...)
}

// put keeps data if it is a picture. Of what is none it returns what is known, beside a *problem.
func (s *store) put(data []byte) (picture, error) {
	sum := sha256.Sum256(data)
	p := picture{SHA256: hex.EncodeToString(sum[:]), Bytes: int64(len(data))}
	if err := s.checkPlaceholder(p); err != nil {
		return p, err
	}
	if err := p.readHeader(data); err != nil {
		return p, err
	}
	if s.has(p) {
		return p, nil
	}
	return p, atomicfile.WriteFile(s.path(p), data)
}

func (s *store) path(p picture) string {
	return filepath.Join(filepath.Dir(s.dir), filepath.FromSlash(p.name()))
}

// has reports whether the picture's file is there.
func (s *store) has(p picture) bool {
	info, err := os.Stat(s.path(p))
	return err == nil && info.Mode().IsRegular() && info.Size() == p.Bytes
}

func (s *store) checkPlaceholder(p picture) error {
	if s.skip[p.SHA256] {
		return &problem{status: Skipped, reason: "placeholder"}
	}
	return nil
}

// readHeader finds out format and size.
func (p *picture) readHeader(data []byte) error {
	config, format, err := image.DecodeConfig(bytes.NewReader(data))
	switch {
	case errors.Is(err, image.ErrFormat):
		return &problem{status: Failed, reason: "no picture", detail: http.DetectContentType(data)}
	case err != nil:
		return &problem{status: Failed, reason: "damaged picture", detail: err.Error()}
	case extensions[format] == "":
		return &problem{status: Failed, reason: "no picture that is read", detail: format}
	case config.Width < 1 || config.Height < 1:
		return &problem{status: Failed, reason: "damaged picture", detail: fmt.Sprintf("it is %d × %d pixels", config.Width, config.Height)}
	case config.Width > maxPixels/config.Height:
		return &problem{status: Failed, reason: "too many pixels", detail: fmt.Sprintf("%d × %d, the limit is %d", config.Width, config.Height, maxPixels)}
	}
	p.Format, p.Width, p.Height = format, config.Width, config.Height
	return nil
}
