// Package gguftest makes GGUF files for tests, sound ones and broken ones.
package gguftest

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
)

// Tensor is a tensor to write: its type's number in ggml, its shape in row-major order, its blocks.
type Tensor struct {
	Name  string
	Type  uint32
	Shape []int64
	Data  []byte
}

// F32 makes a tensor of 32-bit numbers.
func F32(name string, shape []int64, values []float32) Tensor {
	var data []byte
	for _, v := range values {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	return Tensor{Name: name, Shape: shape, Data: data}
}

// Bytes makes the whole file, version 3, with the default alignment of 32. Metadata is key, value, key, value …: a value
// is uint8 … float64, bool, string, a slice of one of these, or []any of such slices.
func Bytes(metadata []any, tensors []Tensor) []byte {
	b := []byte("GGUF")
	b = binary.LittleEndian.AppendUint32(b, 3)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(tensors)))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(metadata)/2))
	for i := 0; i+1 < len(metadata); i += 2 {
		b = text(b, metadata[i].(string))
		kind, value := encode(metadata[i+1])
		b = append(binary.LittleEndian.AppendUint32(b, kind), value...)
	}
	offset := 0
	for _, t := range tensors {
		b = text(b, t.Name)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(t.Shape)))
		for i := len(t.Shape) - 1; i >= 0; i-- {
			b = binary.LittleEndian.AppendUint64(b, uint64(t.Shape[i]))
		}
		b = binary.LittleEndian.AppendUint32(b, t.Type)
		b = binary.LittleEndian.AppendUint64(b, uint64(offset))
		offset += len(pad(t.Data))
	}
	b = pad(b)
	for _, t := range tensors {
		b = append(b, pad(t.Data)...)
	}
	return b
}

// Write makes the file in a folder of the test's own and returns its path.
func Write(t testing.TB, metadata []any, tensors []Tensor) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model.gguf")
	if err := os.WriteFile(path, Bytes(metadata, tensors), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func pad(b []byte) []byte {
	return append(b[:len(b):len(b)], make([]byte, (32-len(b)%32)%32)...)
}

func text(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
}

// encode gives a value's kind and its bytes.
func encode(value any) (kind uint32, b []byte) {
	switch v := value.(type) {
	case string:
		return 8, text(nil, v)
	case []string:
		return 9, array(8, v, func(s string) []byte { return text(nil, s) })
	case []any:
		return 9, array(9, v, func(x any) []byte { _, b := encode(x); return b })
	case []bool:
		return 9, array(7, v, plain[bool])
	case []uint8:
		return 9, array(0, v, plain[uint8])
	case []int8:
		return 9, array(1, v, plain[int8])
	case []uint16:
		return 9, array(2, v, plain[uint16])
	case []int16:
		return 9, array(3, v, plain[int16])
	case []uint32:
		return 9, array(4, v, plain[uint32])
	case []int32:
		return 9, array(5, v, plain[int32])
	case []float32:
		return 9, array(6, v, plain[float32])
	case []uint64:
		return 9, array(10, v, plain[uint64])
	case []int64:
		return 9, array(11, v, plain[int64])
	case []float64:
		return 9, array(12, v, plain[float64])
	}
	kinds := map[string]uint32{"uint8": 0, "int8": 1, "uint16": 2, "int16": 3, "uint32": 4, "int32": 5, "float32": 6,
		"bool": 7, "uint64": 10, "int64": 11, "float64": 12}
	kind, ok := kinds[fmt.Sprintf("%T", value)]
	if !ok {
		panic(fmt.Sprintf("gguftest: a value of %T", value))
	}
	return kind, plain(value)
}

func array[T any](kind uint32, all []T, each func(T) []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, kind)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(all)))
	for _, v := range all {
		b = append(b, each(v)...)
	}
	return b
}

func plain[T any](v T) []byte {
	b, err := binary.Append(nil, binary.LittleEndian, v)
	if err != nil {
		panic(err)
	}
	return b
}
