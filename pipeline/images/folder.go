package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mllm4rec/data/table"
	"mllm4rec/internal/fail"
)

var endings = []string{".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff"}

// Endings are those by which picture files are found in a folder, in small letters; capitals do as well.
func Endings() []string { return slices.Clone(endings) }

// Named reports whether a file is called as a picture is. Whether it is one says its content.
func Named(file string) bool { return slices.Contains(endings, strings.ToLower(filepath.Ext(file))) }

// folder are files in one folder; the key is the path in it. What items say is not trusted: os.Root keeps inside.
type folder struct {
	path     string
	root     *os.Root
	maxBytes int64
	byID     map[string]string // source id → file name
}

func openFolder(o Options) (*folder, error) {
	root, err := os.OpenRoot(o.Path)
	if err != nil {
		return nil, fail.Usagef("images.path: %w; name the folder with the pictures", err)
	}
	f := &folder{path: o.Path, root: root, maxBytes: o.MaxBytes, byID: map[string]string{}}
	entries, err := os.ReadDir(o.Path)
	if err != nil {
		return nil, errors.Join(fail.Usagef("images.path: %w", err), root.Close())
	}
	for _, e := range entries {
		ending := filepath.Ext(e.Name())
		id := strings.TrimSuffix(e.Name(), ending)
		if _, taken := f.byID[id]; !taken && Named(e.Name()) {
			f.byID[id] = e.Name()
		}
	}
	return f, nil
}

func (f *folder) find(item table.Item) (key, host string, why *problem) {
	if item.ImagePath == "" {
		name, ok := f.byID[item.SourceID]
		if !ok {
			return "", "", &problem{status: Missing, reason: "no image_path, and no file of the item's name"}
		}
		return name, "", nil
	}
	name := filepath.Clean(item.ImagePath)
	if filepath.IsAbs(name) {
		if absolute, err := filepath.Abs(f.path); err == nil {
			name, _ = filepath.Rel(absolute, name) // fails for what IsLocal refuses
		}
	}
	if !filepath.IsLocal(name) {
		return item.ImagePath, "", &problem{status: Failed, reason: "outside of images.path"}
	}
	return name, "", nil
}

func (f *folder) get(_ context.Context, key string) (source string, data []byte, err error) {
	source = filepath.Join(f.path, key)
	info, err := f.root.Stat(key) // before it is opened: a named pipe would wait for a writer
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return source, nil, &problem{status: Missing, reason: "no such file"}
	case err != nil:
		return source, nil, fileProblem(err)
	case !info.Mode().IsRegular():
		return source, nil, &problem{status: Failed, reason: "not a file"}
	case info.Size() > f.maxBytes:
		return source, nil, &problem{status: Failed, reason: "too large", detail: fmt.Sprintf("more than %d bytes", f.maxBytes)}
	}
	file, err := f.root.Open(key)
	if err != nil {
		return source, nil, fileProblem(err)
	}
	defer func() { _ = file.Close() }() // read only
	if data, err = io.ReadAll(io.LimitReader(file, f.maxBytes)); err != nil {
		return source, nil, fileProblem(err)
	}
	return source, data, nil
}

// fileProblem says what the system says, without the path.
func fileProblem(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	return &problem{status: Failed, reason: "cannot be read", detail: err.Error()}
}

func (f *folder) remote() bool { return false }

func (f *folder) close() error { return f.root.Close() }
