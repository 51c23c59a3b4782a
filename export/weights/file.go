package weights

import (
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"

	"mllm4rec/internal/fail"
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

// Reader streams a tensor's bytes, for tensors too large to hold.
func (f *File) Reader(name string) (io.Reader, error) {
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

// Float32 reads a tensor of F32, F16, BF16 or F64 as float32 values, with its shape. Other types are a usage error.
func (f *File) Float32(name string) ([]float32, []int64, error) {
	tensor, err := f.Tensor(name)
	if err != nil {
		return nil, nil, err
	}
	values, err := tensor.Float32()
	if err != nil {
		return nil, nil, fail.Usagef("%s: %w", f.path, err)
	}
	return values, tensor.Shape, nil
}

// Close frees the file.
func (f *File) Close() error { return f.file.Close() }

// Float32 converts a tensor of F32, F16, BF16 or F64 (rounded to nearest) to float32 values.
func (t Tensor) Float32() ([]float32, error) {
	var element func(b []byte) float32
	switch t.DType {
	case F32:
		element = func(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }
	case F16:
		element = func(b []byte) float32 { return halfToFloat32(binary.LittleEndian.Uint16(b)) }
	case BF16:
		element = func(b []byte) float32 { return math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16) }
	case F64:
		element = func(b []byte) float32 { return float32(math.Float64frombits(binary.LittleEndian.Uint64(b))) }
	default:
		return nil, fmt.Errorf("tensor %q is %s where a floating-point type belongs", t.Name, t.DType)
	}
	size := int(t.DType.Size())
	values := make([]float32, len(t.Data)/size)
	for i := range values {
		values[i] = element(t.Data[i*size:])
	}
	return values, nil
}

// halfToFloat32 widens an IEEE 754 binary16 number; every one has an exact float32.
func halfToFloat32(h uint16) float32 {
	sign := uint32(h>>15) << 31
	exponent, fraction := uint32(h>>10)&0x1f, uint32(h)&0x3ff
	switch exponent {
	case 0: // zero and subnormal numbers: fraction × 2^-24
		return math.Float32frombits(sign | math.Float32bits(float32(fraction)*0x1p-24))
	case 0x1f: // infinity and NaN
		return math.Float32frombits(sign | 0xff<<23 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+112)<<23 | fraction<<13)
}
