package weights

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"mllm4rec/internal/fail"
)

// The names under which Hugging Face stores weights in a model's folder.
const (
	SingleName = "model.safetensors"
	IndexName  = "model.safetensors.index.json"
)

// Folder is the weights of a model's folder: one safetensors file, or the shards that an index lists. Its methods may be
// called at once from several goroutines, until Close.
type Folder struct {
	dir    string
	files  map[string]*File // by name
	shards map[string]*File // by tensor
}

// OpenFolder opens the weights in dir: model.safetensors, or else the shards of model.safetensors.index.json. All shards
// must be there and hold exactly the tensors that the index says they hold; what is missing, cut off, renamed or
// elsewhere is a usage error that names it.
func OpenFolder(dir string) (*Folder, error) {
	f := &Folder{dir: dir, files: map[string]*File{}, shards: map[string]*File{}}
	index := filepath.Join(dir, IndexName)
	_, err := os.Stat(filepath.Join(dir, SingleName))
	_, indexErr := os.Stat(index)
	switch {
	case err == nil:
		err = f.openSingle()
	case indexErr == nil:
		err = f.openShards(index)
	case errors.Is(err, fs.ErrNotExist):
		err = fail.Usagef("%s: holds neither %s nor %s", dir, SingleName, IndexName)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (f *Folder) openSingle() error {
	file, err := f.open(SingleName)
	if err != nil {
		return err
	}
	for name := range file.tensors {
		f.shards[name] = file
	}
	return nil
}

func (f *Folder) open(name string) (*File, error) {
	file, err := Open(filepath.Join(f.dir, name))
	if err == nil {
		f.files[name] = file
	}
	return file, err
}

// openShards opens what the index lists and checks it against what is there.
func (f *Folder) openShards(index string) error {
	var listed struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := ReadJSON(index, "", &listed); err != nil {
		return err
	}
	if len(listed.WeightMap) == 0 {
		return fail.Usagef("%s: its weight_map lists no tensor", index)
	}
	for _, name := range slices.Compact(slices.Sorted(maps.Values(listed.WeightMap))) {
		if err := f.openShard(index, name); err != nil {
			return err
		}
	}
	for _, tensor := range slices.Sorted(maps.Keys(listed.WeightMap)) {
		shard := listed.WeightMap[tensor]
		if f.shards[tensor] != f.files[shard] {
			return fail.Usagef("%s: tensor %q should be in %s, it is in %s", index, tensor, shard, f.where(tensor))
		}
	}
	for _, tensor := range f.Names() {
		if _, ok := listed.WeightMap[tensor]; !ok {
			return fail.Usagef("%s: does not list tensor %q of %s: the shard is another model's or version's", index, tensor, f.where(tensor))
		}
	}
	return nil
}

// openShard opens a shard by the name that the index has for it, which may not lead out of the folder. (A symbolic link in
// the folder may: Hugging Face's cache is made of them.)
func (f *Folder) openShard(index, name string) error {
	if name != filepath.Base(name) || !filepath.IsLocal(name) {
		return fail.Usagef("%s: %q is not the name of a file beside it", index, name)
	}
	if _, err := os.Stat(filepath.Join(f.dir, name)); errors.Is(err, fs.ErrNotExist) {
		return fail.Usagef("%s: shard %s is missing; complete the download, or give the shard its old name again", index, name)
	}
	file, err := f.open(name)
	if err != nil {
		return err
	}
	for tensor := range file.tensors {
		if _, twice := f.shards[tensor]; twice {
			return fail.Usagef("%s: tensor %q is in %s and in %s", index, tensor, f.where(tensor), name)
		}
		f.shards[tensor] = file
	}
	return nil
}

// where names the shard that holds a tensor.
func (f *Folder) where(tensor string) string {
	file, ok := f.shards[tensor]
	if !ok {
		return "no shard"
	}
	return filepath.Base(file.path)
}

// Names are the tensors' names, sorted.
func (f *Folder) Names() []string { return slices.Sorted(maps.Keys(f.shards)) }

// Info tells a tensor's type and shape. A name that the folder does not hold is a usage error.
func (f *Folder) Info(name string) (Info, error) {
	file, err := f.file(name)
	if err != nil {
		return Info{}, err
	}
	return file.Info(name)
}

// View calls use with a tensor's bytes, which are gone when use returns. See File.View.
func (f *Folder) View(name string, use func(raw []byte) error) error {
	file, err := f.file(name)
	if err != nil {
		return err
	}
	return file.View(name, use)
}

// Reader streams a tensor's bytes, or parts of them.
func (f *Folder) Reader(name string) (*io.SectionReader, error) {
	file, err := f.file(name)
	if err != nil {
		return nil, err
	}
	return file.Reader(name)
}

// Float32 reads a tensor as float32 values, with its shape. See File.Float32.
func (f *Folder) Float32(name string) ([]float32, []int64, error) {
	file, err := f.file(name)
	if err != nil {
		return nil, nil, err
	}
	return file.Float32(name)
}

func (f *Folder) file(name string) (*File, error) {
	file, ok := f.shards[name]
	if !ok {
		return nil, fail.Usagef("%s: holds no tensor %q", f.dir, name)
	}
	return file, nil
}

// Close frees all files.
func (f *Folder) Close() error {
	var failures []error
	for name, file := range f.files {
		if err := file.Close(); err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", name, err))
		}
	}
	return errors.Join(failures...)
}
