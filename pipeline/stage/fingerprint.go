package stage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// file is a file as it was when it was hashed.
type file struct {
	Path string `json:"path"`
	// Size is in bytes, ModTime in nanoseconds since 1970. While both stay, the hash is taken to stay.
	Size    int64  `json:"size"`
	ModTime int64  `json:"mtime"`
	SHA256  string `json:"sha256"`
}

// hasher hashes files, and remembers those of the manifest that have not been touched since.
type hasher struct {
	dir   string
	known map[string]file
}

func newHasher(dir string, m *manifest) *hasher {
	h := &hasher{dir: dir, known: map[string]file{}}
	for _, r := range m.Stages {
		for _, f := range slices.Concat(r.Inputs, r.Outputs) {
			h.known[f.Path] = f
		}
	}
	return h
}

// name is how the manifest calls a file: relative to the run folder when it lies inside, so that the folder may be moved;
// absolute otherwise.
func (h *hasher) name(path string) string {
	if rel, err := filepath.Rel(h.dir, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// path is the file that the manifest calls name.
func (h *hasher) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(h.dir, name)
}

func (h *hasher) file(ctx context.Context, path string) (file, error) {
	info, err := os.Stat(path)
	if err != nil {
		return file{}, err
	}
	if !info.Mode().IsRegular() {
		return file{}, fmt.Errorf("%s is not a file", path)
	}
	f := file{Path: h.name(path), Size: info.Size(), ModTime: info.ModTime().UnixNano()}
	if old, ok := h.known[f.Path]; ok && old.Size == f.Size && old.ModTime == f.ModTime {
		return old, nil
	}
	if f.SHA256, err = hashFile(ctx, path); err != nil {
		return file{}, err
	}
	h.known[f.Path] = f
	return f, nil
}

func (h *hasher) files(ctx context.Context, paths []string) ([]file, error) {
	files := make([]file, 0, len(paths))
	for _, path := range paths {
		f, err := h.file(ctx, path)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

func hashFile(ctx context.Context, path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	sum := sha256.New()
	buffer := make([]byte, 1<<20)
	for {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		n, err := f.Read(buffer)
		sum.Write(buffer[:n])
		if err == io.EOF {
			return hex.EncodeToString(sum.Sum(nil)), nil
		}
		if err != nil {
			return "", err
		}
	}
}

// fingerprint is the hash of all that a stage's outputs depend on. File names do not count, contents and order do.
func fingerprint(s Stage, config json.RawMessage, inputs []file) string {
	sum := sha256.New()
	_, _ = fmt.Fprintf(sum, "%q %d %s\n", s.Name, s.Version, config)
	for _, f := range inputs {
		_, _ = fmt.Fprintln(sum, f.SHA256)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// changed says in words how a stage differs from its record.
func changed(old record, s Stage, config json.RawMessage, inputs []file) string {
	if old.Version != s.Version {
		return "the program changed"
	}
	if keys := changedKeys(old.Config, config); keys != "" {
		return "changed in the recipe: " + keys
	}
	for i, f := range inputs {
		if i >= len(old.Inputs) || old.Inputs[i].SHA256 != f.SHA256 {
			return filepath.Base(f.Path) + " changed"
		}
	}
	return "its inputs changed"
}

// changedKeys names the top-level keys in which two JSON objects differ.
func changedKeys(old, now json.RawMessage) string {
	var a, b map[string]json.RawMessage
	if json.Unmarshal(old, &a) != nil || json.Unmarshal(now, &b) != nil {
		return ""
	}
	var keys []string
	for key := range b {
		if !bytes.Equal(compact(a[key]), compact(b[key])) {
			keys = append(keys, key)
		}
	}
	for key := range a {
		if _, ok := b[key]; !ok {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return joinWords(keys)
}

func compact(raw json.RawMessage) []byte {
	var out bytes.Buffer
	if err := json.Compact(&out, raw); err != nil {
		return raw
	}
	return out.Bytes()
}
