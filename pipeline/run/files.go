package run

import (
	"errors"
	"io/fs"
	"os"

	"mllm4rec/internal/glob"
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
		found, err := glob.In(path, pattern)
		if err != nil {
			return nil, err
		}
		files = append(files, found...)
	}
	return files, nil
}
