package table

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// damagedFiles are cuts and single changed bytes of a good file.
func damagedFiles(data []byte) (files map[string][]byte) {
	files = map[string][]byte{"empty": {}, "text": []byte(strings.Repeat("no parquet ", 9)), "frame only": []byte("PAR1\x00\x00\x00\x00PAR1")}
	for _, n := range []int{1, 4, 8, 11, len(data) / 2, len(data) - 9, len(data) - 1} {
		files["cut at "+string(rune('a'+n%26))] = data[:n]
	}
	footer := bytes.Clone(data)
	binary.LittleEndian.PutUint32(footer[len(footer)-8:], 0xffffffff)
	files["footer of 4 GB"] = footer
	return files
}

func goodFile(t testing.TB) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "good.parquet")
	var rows []Candidates
	for i := range int32(20) {
		rows = append(rows, Candidates{UserID: i, Split: "val", Label: i, Items: []int32{i, i + 1, i * i}, Scores: []float32{1, 2, float32(i)}})
	}
	if err := WriteAll(path, rows); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// use reads a file in every way, and reports a panic.
func use(t testing.TB, path string) error {
	t.Helper()
	_, err := ReadAll[Candidates](path)
	if describeErr := Describe(io.Discard, path, 3, false); err == nil {
		err = describeErr
	}
	if err != nil && strings.Contains(err.Error(), "\n") {
		t.Errorf("an error of several lines: %q", err)
	}
	return err
}

func TestDamagedFilesGiveErrors(t *testing.T) {
	t.Parallel()
	for name, data := range damagedFiles(goodFile(t)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "bad.parquet")
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := use(t, path); err == nil {
				t.Error("no error")
			} else if !strings.HasPrefix(err.Error(), "bad.parquet: ") {
				t.Errorf("%q does not begin with the file's name", err)
			}
		})
	}
}

func TestEveryChangedByteIsSurvivedInBoundedMemory(t *testing.T) {
	good := goodFile(t)
	path := filepath.Join(t.TempDir(), "bad.parquet")
	for i := range good {
		for _, flip := range []byte{0xff, 0x01} {
			bad := bytes.Clone(good)
			bad[i] ^= flip
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_ = use(t, path) // some changes are harmless
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > 600<<20 {
				t.Errorf("byte %d ^ %x: %d MB allocated", i, flip, used>>20)
			}
		}
	}
}

func FuzzOpen(f *testing.F) {
	good := goodFile(f)
	f.Add(good)
	for _, data := range damagedFiles(good) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "f.parquet")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		_ = use(t, path)
	})
}
