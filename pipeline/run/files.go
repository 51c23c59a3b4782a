package run

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// external is the file beside an ONNX file that holds its weights where they are large; none where they are not.
func external(model string) ([]string, error) {
	path := model + ".data"
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return []string{path}, err
}

// modelFiles is path itself, or what of a folder matches the patterns. The folder's own name is no pattern.
func modelFiles(path string, patterns ...string) (files []string, err error) {
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return []string{path}, nil // who opens it says what is wrong
	}
	for _, pattern := range patterns {
		found, err := fs.Glob(os.DirFS(path), pattern)
		if err != nil {
			return nil, err
		}
		for _, name := range found {
			files = append(files, filepath.Join(path, name))
		}
	}
	return files, nil
}
