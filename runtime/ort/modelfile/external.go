package modelfile

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// externalEntry reads one pair of a tensor's external_data: location, offset, length, checksum.
func (w *walker) externalEntry(t *tensor, f field) error {
	key, value, err := w.entry(f, maxText)
	if err != nil {
		return fmt.Errorf("external data: %w", err)
	}
	if _, twice := t.external[key]; twice {
		return fmt.Errorf("external data: two values for %s", key)
	}
	if t.external == nil {
		t.external = map[string]string{}
	}
	t.external[key] = value
	return nil
}

// checkExternal makes sure that size bytes lie in a regular file inside the model's folder.
func (w *walker) checkExternal(t *tensor, size int64) error {
	if t.kind == stringType || t.raw != nil || len(t.typed) > 0 {
		return fmt.Errorf("it has external data and data inside, or is of strings")
	}
	location := t.external["location"]
	// ONNX Runtime takes "*/_ORT_MEM_ADDR_/*" for an address in its own memory.
	if !filepath.IsLocal(location) || strings.HasPrefix(location, "*") {
		return fmt.Errorf("external data in %q: it must lie in the model's own folder", location)
	}
	stat, err := w.folder.Stat(location)
	if err != nil {
		return fmt.Errorf("external data in %q: %w", location, bare(err))
	}
	if !stat.Mode().IsRegular() {
		return fmt.Errorf("external data in %q: not a regular file", location)
	}
	offset, err := t.externalNumber("offset", 0)
	if err != nil {
		return err
	}
	length, err := t.externalNumber("length", size)
	if err != nil {
		return err
	}
	if length != size {
		return fmt.Errorf("external data in %q: %s %v takes %d bytes, its length is %d", location, dataTypes[t.kind].name, t.dims, size, length)
	}
	if offset > stat.Size()-size {
		return fmt.Errorf("external data in %q: %d bytes from %d on, but the file ends at %d", location, size, offset, stat.Size())
	}
	return nil
}

// externalNumber reads a whole number of external_data, or takes missing where there is none.
func (t *tensor) externalNumber(key string, missing int64) (int64, error) {
	text, ok := t.external[key]
	if !ok {
		return missing, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("external data: %s is %q, want a whole number of bytes", key, text)
	}
	return n, nil
}
