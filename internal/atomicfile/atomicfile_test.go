package atomicfile_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"mllm4rec/internal/atomicfile"
)

func TestWriteReplacesTheWholeFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new", "file")
	for _, text := range []string{"a long first text", "short"} {
		if err := atomicfile.WriteFile(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("got %q, %v; want %q", got, err, text)
		}
	}
	onlyFile(t, path)
}

func TestFailedWriteKeepsTheOldFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	if err := atomicfile.WriteFile(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	err := atomicfile.Write(path, func(w io.Writer) error {
		if _, err := io.WriteString(w, "half of the n"); err != nil {
			return err
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if got, _ := os.ReadFile(path); string(got) != "old" {
		t.Errorf("the old file became %q", got)
	}
	onlyFile(t, path)
}

func TestSweepRemovesWhatKilledWritersLeft(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "with [brackets]")
	path := filepath.Join(dir, "file")
	if err := atomicfile.WriteFile(path, []byte("whole")); err != nil {
		t.Fatal(err)
	}
	if _, err := atomicfile.Create(path); err != nil { // killed before Commit
		t.Fatal(err)
	}
	if err := atomicfile.WriteFile(filepath.Join(dir, ".folder.tmp-1", "file"), nil); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Sweep(dir, filepath.Join(dir, "missing")); err != nil {
		t.Fatal(err)
	}
	onlyFile(t, path)
}

func TestSweepFileLeavesOtherFilesAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a.parquet")
	for _, name := range []string{"a.parquet", ".a.parquet.tmp-1", ".b.parquet.tmp-1", ".a.parquet", "a.parquet.tmp-1"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := atomicfile.SweepFile(path); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 4 {
		t.Errorf("%v, %v", left, err)
	}
	if _, err := os.Stat(filepath.Join(dir, ".a.parquet.tmp-1")); err == nil {
		t.Error("its temporary file is still there")
	}
}

func TestNothingIsSeenBeforeCommit(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	f, err := atomicfile.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Abort()
	if _, err := f.WriteString("text"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("before Commit: %v", err)
	}
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	f.Abort() // after Commit it does nothing
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("after Commit: %v, %v", info, err)
	}
}

func TestUnwritablePlaceIsAnError(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := atomicfile.WriteFile(file, nil); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.WriteFile(filepath.Join(file, "below"), nil); err == nil {
		t.Error("a file below a file was written")
	}
}

// onlyFile wants no temporary file beside path.
func onlyFile(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("folder holds %v, %v; want the file alone", entries, err)
	}
}
