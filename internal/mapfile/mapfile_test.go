package mapfile_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mllm4rec/internal/mapfile"
)

func open(t *testing.T, content []byte) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

func TestViewGivesTheBytesAtAnyOffset(t *testing.T) {
	t.Parallel()
	content := make([]byte, 20000)
	for i := range content {
		content[i] = byte(i * 7 / 3)
	}
	file := open(t, content)
	for _, at := range [][2]int64{{0, 1}, {0, 20000}, {1, 4095}, {4095, 2}, {4096, 4096}, {12345, 7655}, {19999, 1}, {5, 0}} {
		err := mapfile.View(file, at[0], at[1], func(data []byte) error {
			if !bytes.Equal(data, content[at[0]:at[0]+at[1]]) {
				t.Errorf("other bytes at %v", at)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func TestViewReturnsTheErrorOfUse(t *testing.T) {
	t.Parallel()
	want := errors.New("no")
	if err := mapfile.View(open(t, []byte("abc")), 0, 3, func([]byte) error { return want }); !errors.Is(err, want) {
		t.Error(err)
	}
}

func TestFileCutWhileItIsReadIsAnErrorAndNoCrash(t *testing.T) {
	t.Parallel()
	file := open(t, make([]byte, 1<<16))
	err := mapfile.View(file, 0, 1<<16, func(data []byte) error {
		if err := file.Truncate(100); err != nil {
			t.Fatal(err)
		}
		sum := byte(0)
		for _, b := range data {
			sum += b
		}
		t.Errorf("read bytes that are gone: %d", sum)
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "cut off") || !strings.Contains(err.Error(), file.Name()) {
		t.Error(err)
	}
}

func TestOtherPanicsPassThrough(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("a panic was swallowed")
		}
	}()
	_ = mapfile.Guard(func() error { panic("a mistake of ours") })
}
