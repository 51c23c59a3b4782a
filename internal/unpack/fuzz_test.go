package unpack_test

import (
	"archive/tar"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"mllm4rec/internal/unpack"
)

// fuzzLimits are small enough that a bomb would show.
var fuzzLimits = unpack.Limits{MaxBytes: 1 << 20, MaxFiles: 100}

func FuzzZip(f *testing.F) {
	f.Add(zipOf(f, entry{name: "a/b", body: "x"}, entry{name: "c"}))
	f.Add(zipOf(f, entry{name: "../a", body: "x"}))
	f.Add(zipOf(f, entry{name: "a", body: "b", mode: fs.ModeSymlink}, entry{name: "a/x"}))
	f.Fuzz(func(t *testing.T, archive []byte) { staysInside(t, unpack.Zip, archive) })
}

func FuzzTarGz(f *testing.F) {
	f.Add(tarGzOf(f, entry{name: "a/b", body: "x"}, entry{name: "c"}))
	f.Add(tarGzOf(f, entry{name: "../a", body: "x"}))
	f.Add(tarGzOf(f, entry{name: "a", tar: tar.TypeSymlink, link: ".."}, entry{name: "a/x"}))
	f.Fuzz(func(t *testing.T, archive []byte) { staysInside(t, unpack.TarGz, archive) })
}

// FuzzTar fuzzes the tar inside, which gzip's checksum would keep a fuzzer from reaching.
func FuzzTar(f *testing.F) {
	f.Add([]byte("a"))
	f.Fuzz(func(t *testing.T, plain []byte) { staysInside(t, unpack.TarGz, gzipOf(t, plain)) })
}

// staysInside unpacks and checks that nothing was written outside the folder, nothing but regular files inside, not more
// than the limit, and nothing at all if there was an error.
func staysInside(t *testing.T, unpack unpacker, archive []byte) {
	parent := memoryDir(t)
	path := filepath.Join(parent, "archive")
	check(t, os.WriteFile(path, archive, 0o644))
	err := unpack(t.Context(), path, filepath.Join(parent, "dir"), fuzzLimits)
	files := tree(t, filepath.Join(parent, "dir"))
	if err != nil && len(files) > 0 {
		t.Errorf("error %v, but files %q", err, names(files))
	}
	var total int
	for _, body := range files {
		total += len(body)
	}
	if total > int(fuzzLimits.MaxBytes) {
		t.Errorf("unpacked %d bytes", total)
	}
	if entries, _ := os.ReadDir(parent); len(entries) != 2 {
		t.Errorf("beside the archive and the folder there is more: %v", entries)
	}
}

// memoryDir is a folder in memory where the system has one: syncing a disk thousands of times a second is not the point.
func memoryDir(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "unpack-fuzz-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { check(t, os.RemoveAll(dir)) })
	return dir
}
