package weights

import (
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"mllm4rec/internal/fail"
	"mllm4rec/internal/mapfile"
)

// File is an open safetensors file. Its methods may be called at once from several goroutines, until Close.
type File struct {
	path     string
	file     *os.File
	data     int64 // where the tensors begin
	tensors  map[string]Info
	metadata map[string]string
}

// Open reads and checks the header of the safetensors file at path; tensors are read when asked for. A file that is not
// safetensors, is damaged, or holds a data type unknown here is a usage error.
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
	h, data, err := readHeader(file, stat.Size())
	if err != nil {
		return nil, fail.Usagef("%s: not a sound safetensors file: %w", path, err)
	}
	f := &File{path: path, file: file, data: data, tensors: map[string]Info{}, metadata: h.metadata}
	for _, info := range h.tensors {
		f.tensors[info.Name] = info
	}
	return f, nil
}

// readHeader returns the header of a file of size bytes, and where the tensors begin.
func readHeader(r io.ReaderAt, size int64) (header, int64, error) {
	var prefix [8]byte
	if size < int64(len(prefix)) {
		return header{}, 0, fmt.Errorf("it has %d bytes, a header needs 8 and more", size)
	}
	if _, err := r.ReadAt(prefix[:], 0); err != nil {
		return header{}, 0, err
	}
	length := binary.LittleEndian.Uint64(prefix[:])
	if length > maxHeader {
		return header{}, 0, fmt.Errorf("its header would take %d bytes, the most is %d", length, maxHeader)
	}
	if int64(length) > size-8 {
		return header{}, 0, fmt.Errorf("its header would take %d bytes, the file has %d", length, size)
	}
	text := make([]byte, length)
	if _, err := r.ReadAt(text, 8); err != nil {
		return header{}, 0, err
	}
	data := 8 + int64(length)
	h, err := parseHeader(text, size-data)
	return h, data, err
}

// Names are the tensors' names, sorted.
func (f *File) Names() []string { return slices.Sorted(maps.Keys(f.tensors)) }

// Metadata is the file's own string map; it may be nil. The caller does not change it.
func (f *File) Metadata() map[string]string { return f.metadata }

// Info tells a tensor's type and shape. A name that the file does not hold is a usage error.
func (f *File) Info(name string) (Info, error) {
	info, ok := f.tensors[name]
	if !ok {
		return Info{}, fail.Usagef("%s: holds no tensor %q", f.path, name)
	}
	return info, nil
}

// Reader streams a tensor's bytes, or parts of them, for tensors too large to hold.
func (f *File) Reader(name string) (*io.SectionReader, error) {
	info, err := f.Info(name)
	if err != nil {
		return nil, err
	}
	return io.NewSectionReader(f.file, f.data+info.begin, info.Bytes()), nil
}

// Tensor reads a tensor whole. The caller owns it.
func (f *File) Tensor(name string) (Tensor, error) {
	info, err := f.Info(name)
	if err != nil {
		return Tensor{}, err
	}
	data := make([]byte, info.Bytes())
	if _, err := f.file.ReadAt(data, f.data+info.begin); err != nil && len(data) > 0 {
		return Tensor{}, fmt.Errorf("%s: tensor %q: %w", f.path, name, err)
	}
	return Tensor{Name: name, DType: info.DType, Shape: slices.Clone(info.Shape), Data: data}, nil
}

// View calls use with a tensor's bytes as the file holds them, mapped and not copied: they are gone when use returns.
// See mapfile.View.
func (f *File) View(name string, use func(raw []byte) error) error {
	info, err := f.Info(name)
	if err != nil {
		return err
	}
	return mapfile.View(f.file, f.data+info.begin, info.Bytes(), use)
}

// Float32 reads a tensor of F32, F16, BF16 or F64 (rounded to nearest) as float32 values, with its shape. Other types are
// a usage error.
func (f *File) Float32(name string) ([]float32, []int64, error) {
	info, err := f.Info(name)
	if err != nil {
		return nil, nil, err
	}
	if err := info.DType.Decodable(); err != nil {
		return nil, nil, fail.Usagef("%s: tensor %q: %w", f.path, name, err)
	}
	values := make([]float32, info.Bytes()/info.DType.Size())
	err = f.View(name, func(raw []byte) error { return info.DType.Decode(values, raw) })
	return values, slices.Clone(info.Shape), err
}

// Close frees the file.
func (f *File) Close() error { return f.file.Close() }

// Float32 converts a tensor of F32, F16, BF16 or F64 (rounded to nearest) to float32 values.
func (t Tensor) Float32() ([]float32, error) {
	if err := t.DType.Decodable(); err != nil {
		return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
	}
	values := make([]float32, int64(len(t.Data))/t.DType.Size())
	return values, t.DType.Decode(values, t.Data)
}
