package weights

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"unicode/utf8"

	"mllm4rec/internal/atomicfile"
)

// Write stores tensors and metadata (which may be nil) as a safetensors file, whole or not at all. Equal input gives
// equal bytes, whatever the order of tensors: they are stored by falling element size, then by name, which keeps every
// one aligned to its type. Names must be valid UTF-8 and differ, and Data must fit DType and Shape.
func Write(path string, tensors []Tensor, metadata map[string]string) error {
	tensors = slices.Clone(tensors)
	slices.SortStableFunc(tensors, func(a, b Tensor) int {
		return cmp.Or(cmp.Compare(b.DType.Size(), a.DType.Size()), cmp.Compare(a.Name, b.Name))
	})
	text, err := formatHeader(tensors, metadata)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		if _, err := w.Write(text); err != nil {
			return err
		}
		for _, t := range tensors {
			if _, err := w.Write(t.Data); err != nil {
				return err
			}
		}
		return nil
	})
}

// formatHeader makes the length and the JSON header, padded with spaces to a multiple of 8 bytes.
func formatHeader(tensors []Tensor, metadata map[string]string) ([]byte, error) {
	var b bytes.Buffer
	b.Write(make([]byte, 8))
	b.WriteByte('{')
	if len(metadata) > 0 {
		if err := writeMetadata(&b, metadata); err != nil {
			return nil, err
		}
	}
	var at int64
	seen := map[string]bool{}
	for _, t := range tensors {
		if err := checkTensor(t, seen); err != nil {
			return nil, err
		}
		if b.Len() > 9 {
			b.WriteByte(',')
		}
		end := at + int64(len(t.Data))
		shape, _ := json.Marshal(append([]int64{}, t.Shape...))
		fmt.Fprintf(&b, `%s:{"dtype":"%s","shape":%s,"data_offsets":[%d,%d]}`, quote(t.Name), t.DType, shape, at, end)
		at = end
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	if b.Len()-8 > maxHeader {
		return nil, fmt.Errorf("the header takes %d bytes, the most is %d", b.Len()-8, maxHeader)
	}
	binary.LittleEndian.PutUint64(b.Bytes(), uint64(b.Len()-8))
	return b.Bytes(), nil
}

func writeMetadata(b *bytes.Buffer, metadata map[string]string) error {
	fmt.Fprintf(b, "%q:{", metadataKey)
	for i, key := range slices.Sorted(maps.Keys(metadata)) {
		if !utf8.ValidString(key) || !utf8.ValidString(metadata[key]) {
			return fmt.Errorf("metadata %q is not valid UTF-8", key)
		}
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(b, "%s:%s", quote(key), quote(metadata[key]))
	}
	b.WriteByte('}')
	return nil
}

func checkTensor(t Tensor, seen map[string]bool) error {
	size, ok := byteSize(t.DType, t.Shape)
	switch {
	case t.Name == metadataKey || !utf8.ValidString(t.Name):
		return fmt.Errorf("tensor %q: its name is reserved or not valid UTF-8", t.Name)
	case seen[t.Name]:
		return fmt.Errorf("tensor %q: given twice", t.Name)
	case t.DType.Size() == 0:
		return fmt.Errorf("tensor %q: unknown data type %q", t.Name, t.DType)
	case !ok || size != int64(len(t.Data)):
		return fmt.Errorf("tensor %q: %d bytes do not fit shape %v of %s", t.Name, len(t.Data), t.Shape, t.DType)
	}
	seen[t.Name] = true
	return nil
}

// quote makes a JSON string; valid UTF-8 always has one.
func quote(s string) string {
	text, _ := json.Marshal(s)
	return string(text)
}
