// Package gguf reads the GGUF container of the ggml project, versions 2 and 3, little-endian: a header, typed metadata
// (the model's sizes, its vocabulary), a table of tensors, and their bytes, each at a multiple of the file's alignment.
// Format: docs/gguf.md of github.com/ggml-org/ggml.
//
// A file may come from a stranger: every count and size in it is compared with what is left of the file before memory
// is taken for it. What the tensors' blocks mean is export/weights' trade, what the vocabulary means data/tokenizer's.
package gguf

import (
	"fmt"
	"io"
	"os"

	"mllm4rec/internal/fail"
	"mllm4rec/internal/mapfile"
)

// Magic is what a GGUF file begins with.
const Magic = "GGUF"

// File is an open GGUF file. Its methods may be called at once from several goroutines, until Close.
type File struct {
	// Version is the container's, 2 or 3.
	Version uint32
	// Metadata is the file's keys and values.
	Metadata Metadata
	// Tensors is the table in the file's order. It is not changed by the caller.
	Tensors []Tensor

	path  string
	file  *os.File
	byKey map[string]int
}

// Open reads and checks the header, the metadata and the tensor table of the file at path; tensors are read when asked
// for. A file that is not GGUF, is damaged, of another version or byte order, or holds a tensor type unknown here is a
// usage error.
func Open(path string) (*File, error) {
	file, err := os.Open(path)
	if os.IsNotExist(err) {
		return nil, fail.Usagef("%s: no such file", path)
	}
	if err != nil {
		return nil, err
	}
	f, err := open(path, file)
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return f, nil
}

func open(path string, file *os.File) (*File, error) {
	stat, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !stat.Mode().IsRegular() {
		return nil, fail.Usagef("%s: not a regular file", path)
	}
	f := &File{path: path, file: file}
	if err := f.parse(io.NewSectionReader(file, 0, stat.Size()), stat.Size()); err != nil {
		return nil, fail.Usagef("%s: not a sound GGUF file: %w", path, err)
	}
	return f, nil
}

// parse fills f from a whole file of size bytes.
func (f *File) parse(from io.Reader, size int64) error {
	r := newReader(from, size)
	version, tensors, keys, err := r.header()
	if err != nil {
		return err
	}
	f.Version = version
	if f.Metadata, err = r.metadata(keys); err != nil {
		return err
	}
	alignment, err := f.Metadata.alignment()
	if err != nil {
		return err
	}
	if f.Tensors, err = r.tensors(tensors); err != nil {
		return err
	}
	f.byKey = map[string]int{}
	for i, t := range f.Tensors {
		if _, twice := f.byKey[t.Name]; twice {
			return fmt.Errorf("tensor %q is in the table twice", t.Name)
		}
		f.byKey[t.Name] = i
	}
	return place(f.Tensors, r.at(), size, alignment)
}

// Path is the name that the file was opened under.
func (f *File) Path() string { return f.path }

// Has tells whether the file holds a tensor of this name.
func (f *File) Has(name string) bool {
	_, ok := f.byKey[name]
	return ok
}

// Tensor finds a tensor by name. A name that the file does not hold is a usage error.
func (f *File) Tensor(name string) (Tensor, error) {
	i, ok := f.byKey[name]
	if !ok {
		return Tensor{}, fail.Usagef("%s: holds no tensor %q", f.path, name)
	}
	return f.Tensors[i], nil
}

// Section streams a tensor's bytes.
func (f *File) Section(t Tensor) *io.SectionReader {
	return io.NewSectionReader(f.file, t.offset, t.Bytes())
}

// View calls use with a tensor's bytes as the file holds them, mapped and not copied: they are gone when use returns.
// See mapfile.View.
func (f *File) View(t Tensor, use func(blocks []byte) error) error {
	return mapfile.View(f.file, t.offset, t.Bytes(), use)
}

// Close frees the file.
func (f *File) Close() error { return f.file.Close() }
