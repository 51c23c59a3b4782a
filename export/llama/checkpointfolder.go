package llama

import (
	"io"
	"maps"
	"path/filepath"
	"slices"

	"mllm4rec/export/weights"
)

// folder is a Hugging Face folder.
type folder struct{ *weights.Folder }

func openFolder(dir string) (Config, container, error) {
	config, err := readConfig(filepath.Join(dir, "config.json"))
	if err != nil {
		return Config{}, nil, err
	}
	files, err := weights.OpenFolder(dir)
	if err != nil {
		return Config{}, nil, err
	}
	return config, folder{files}, nil
}

func (f folder) list() map[string]stored {
	held := map[string]stored{}
	for _, name := range f.Names() {
		if info, err := f.Info(name); err == nil {
			held[name] = stored{name: name, dtype: info.DType, shape: info.Shape}
		}
	}
	return held
}

func (f folder) view(name string, use func(raw []byte) error) error { return f.View(name, use) }

func (f folder) reader(name string) (*io.SectionReader, error) { return f.Reader(name) }

func sortedKeys[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }
