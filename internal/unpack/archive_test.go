package unpack_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"testing"
)

// entry is one entry of an archive under test.
type entry struct {
	name string
	body string
	mode fs.FileMode // 0 is a regular file
	tar  byte        // tar's type; 0 is a regular file
	link string
}

func zipOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var buffer bytes.Buffer
	w := zip.NewWriter(&buffer)
	for _, e := range entries {
		header := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		header.SetMode(e.mode | 0o644)
		f, err := w.CreateHeader(header)
		check(t, err)
		_, err = f.Write([]byte(e.body))
		check(t, err)
	}
	check(t, w.Close())
	return buffer.Bytes()
}

func tarGzOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var buffer bytes.Buffer
	w := tar.NewWriter(&buffer)
	for _, e := range entries {
		header := &tar.Header{Name: e.name, Typeflag: e.tar, Mode: 0o644, Size: int64(len(e.body)), Linkname: e.link}
		check(t, w.WriteHeader(header))
		_, err := w.Write([]byte(e.body))
		check(t, err)
	}
	check(t, w.Close())
	return gzipOf(t, buffer.Bytes())
}

func gzipOf(t testing.TB, plain []byte) []byte {
	t.Helper()
	var buffer bytes.Buffer
	w := gzip.NewWriter(&buffer)
	_, err := w.Write(plain)
	check(t, err)
	check(t, w.Close())
	return buffer.Bytes()
}

// save writes an archive to a new folder and returns its path.
func save(t testing.TB, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "archive")
	check(t, os.WriteFile(path, content, 0o644))
	return path
}

// tree is every file below dir by name; entries that are no regular files fail the test.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	check(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if !d.Type().IsRegular() {
			t.Errorf("%s is %s", path, d.Type())
			return nil
		}
		name, _ := filepath.Rel(dir, path)
		body, err := os.ReadFile(path)
		files[name] = string(body)
		return err
	}))
	return files
}

func names(files map[string]string) []string {
	var list []string
	for name := range files {
		list = append(list, name)
	}
	sort.Strings(list)
	return list
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
