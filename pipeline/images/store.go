package images

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	pictures "mllm4rec/data/picture"
	"mllm4rec/data/table"
	"mllm4rec/internal/atomicfile"
	"mllm4rec/internal/glob"
)

// maxPixels is the largest picture that is taken: more would not be captioned.
const maxPixels = pictures.MaxPixels

// extensions are the formats that are read, in small letters, and how their files end.
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
	// decoding holds a place for each picture that is decoded at once.
	decoding chan struct{}
}

// mostDecoded bounds memory: the largest picture takes hundreds of megabytes while it is decoded.
const mostDecoded = 4

// openStore makes the folder, and clears away what killed runs left half written.
func openStore(dir string, placeholders []string) (*store, error) {
	s := &store{dir: dir, skip: map[string]bool{}, decoding: make(chan struct{}, min(runtime.NumCPU(), mostDecoded))}
	for _, sum := range placeholders {
		s.skip[strings.ToLower(sum)] = true
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	folders, err := glob.In(dir, "??")
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
	if err := s.decode(data); err != nil {
		return p, err
	}
	return p, atomicfile.WriteFile(s.path(p), data)
}

// decode finds out whether the picture behind the header can be read: one that was cut is found now, when it can be fetched
// again, and not by the captioner.
func (s *store) decode(data []byte) error {
	s.decoding <- struct{}{}
	defer func() { <-s.decoding }()
	if _, err := pictures.Decode(data); err != nil {
		return &problem{status: Failed, reason: "damaged picture", detail: err.Error()}
	}
	return nil
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
	head, err := pictures.ReadHeader(data)
	switch {
	case len(data) == 0:
		return &problem{status: Failed, reason: "no picture", detail: err.Error()}
	case len(data) > pictures.MaxBytes:
		return &problem{status: Failed, reason: "too large", detail: fmt.Sprintf("%d bytes, and no more than %d are decoded", len(data), pictures.MaxBytes)}
	case head.Format == "":
		return &problem{status: Failed, reason: "no picture", detail: http.DetectContentType(data)}
	case err != nil:
		return &problem{status: Failed, reason: "damaged picture", detail: err.Error()}
	case head.Width < 1 || head.Height < 1:
		return &problem{status: Failed, reason: "damaged picture", detail: fmt.Sprintf("it is %d × %d pixels", head.Width, head.Height)}
	case head.Width > maxPixels/head.Height:
		return &problem{status: Failed, reason: "too many pixels", detail: fmt.Sprintf("%d × %d, the limit is %d", head.Width, head.Height, maxPixels)}
	case max(head.Width, head.Height) > pictures.MaxSide:
		return &problem{status: Failed, reason: "too many pixels", detail: fmt.Sprintf("%d × %d, the limit is %d a side", head.Width, head.Height, pictures.MaxSide)}
	}
	p.Format, p.Width, p.Height = strings.ToLower(head.Format), head.Width, head.Height
	return nil
}
