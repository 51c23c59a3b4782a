package main

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// testWheel makes a wheel that holds files, and its entry.
func testWheel(t *testing.T, name string, files map[string]string, parts ...part) (wheel, []byte) {
	t.Helper()
	var buffer bytes.Buffer
	w := zip.NewWriter(&buffer)
	for name, body := range files {
		f, err := w.Create(name)
		check(t, err)
		_, err = f.Write([]byte(body))
		check(t, err)
	}
	check(t, w.Close())
	sum := sha256.Sum256(buffer.Bytes())
	return wheel{name + "==1", name + "-1.whl", hex.EncodeToString(sum[:]), int64(buffer.Len()), parts}, buffer.Bytes()
}

// index is a stand-in for Python: `-m pip download … --dest DIR … NAME==1` copies NAME-1.whl from a folder and counts.
type index struct {
	t      *testing.T
	dir    string
	python string
}

func newIndex(t *testing.T) *index {
	t.Helper()
	dir := t.TempDir()
	script := fmt.Sprintf(`#!/bin/sh
for last; do :; done
while [ "$1" != --dest ]; do shift; done
echo x >> '%[1]s/calls'
[ -e '%[1]s/broken' ] && { echo 'no network' >&2; exit 1; }
cp '%[1]s'/"${last%%==1}-1.whl" "$2"/
`, dir)
	python := filepath.Join(dir, "python3")
	check(t, os.WriteFile(python, []byte(script), 0o755))
	return &index{t, dir, python}
}

func (i *index) offer(w wheel, content []byte) {
	check(i.t, os.WriteFile(filepath.Join(i.dir, w.File), content, 0o644))
}

func (i *index) calls() int {
	text, _ := os.ReadFile(filepath.Join(i.dir, "calls"))
	return bytes.Count(text, []byte("x"))
}

func (i *index) store(out *bytes.Buffer) store {
	s, err := newStore(filepath.Join(i.t.TempDir(), ".deps"), i.python, out)
	check(i.t, err)
	return s
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, s store, name string) string {
	t.Helper()
	text, err := os.ReadFile(s.path(name))
	if err != nil {
		return "absent"
	}
	return string(text)
}

// Subtests run one after the other: a fork beside a script that is being written keeps it from running.
func TestFill(t *testing.T) {
	lib := part{"lib", always, [][2]string{{"pkg/lib/*.so*", "lib/"}, {"pkg/include/", "include/"}}}
	files := map[string]string{"pkg/lib/liba.so.1": "a", "pkg/include/x/y.h": "h", "pkg/code.py": "evil"}

	t.Run("takes out what is needed, once", func(t *testing.T) {
		pip := newIndex(t)
		w, content := testWheel(t, "a", files, lib)
		pip.offer(w, content)
		s := pip.store(new(bytes.Buffer))
		for range 2 {
			check(t, s.fill(t.Context(), []wheel{w}, false))
		}
		if read(t, s, "lib/liba.so.1") != "a" || read(t, s, "include/x/y.h") != "h" || read(t, s, "stubs/libtorch.so") == "absent" {
			t.Error("files are absent")
		}
		if found, _ := filepath.Glob(s.path("*", "*.py")); found != nil {
			t.Errorf("took %q", found)
		}
		for _, rest := range []string{"tmp", "wheels"} {
			if _, err := os.Stat(s.path(rest)); err == nil {
				t.Errorf("%s is left", rest)
			}
		}
		if pip.calls() != 1 {
			t.Errorf("%d downloads", pip.calls())
		}
	})

	t.Run("refuses another content", func(t *testing.T) {
		pip := newIndex(t)
		w, _ := testWheel(t, "a", files, lib)
		pip.offer(w, []byte("another"))
		s := pip.store(new(bytes.Buffer))
		err := s.fill(t.Context(), []wheel{w}, false)
		if err == nil || !strings.Contains(err.Error(), "SHA-256") || read(t, s, "lib/liba.so.1") != "absent" {
			t.Errorf("got %v", err)
		}
	})

	t.Run("goes on after a failure with what is missing", func(t *testing.T) {
		pip := newIndex(t)
		a, contentA := testWheel(t, "a", files, lib)
		b, contentB := testWheel(t, "b", map[string]string{"b/data": "b"}, part{"data", always, [][2]string{{"b/*", "data/"}}})
		pip.offer(a, contentA)
		s := pip.store(new(bytes.Buffer))
		if err := s.fill(t.Context(), []wheel{a, b}, false); err == nil {
			t.Fatal("no error")
		}
		pip.offer(b, contentB)
		check(t, s.fill(t.Context(), []wheel{a, b}, false))
		if read(t, s, "data/data") != "b" || pip.calls() != 3 {
			t.Errorf("data %s, %d downloads", read(t, s, "data/data"), pip.calls())
		}
	})

	t.Run("uses a wheel put there by hand, fetches a damaged one again", func(t *testing.T) {
		pip := newIndex(t)
		w, content := testWheel(t, "a", files, lib)
		pip.offer(w, content)
		for i, there := range []string{string(content), string(content[:100])} {
			s := pip.store(new(bytes.Buffer))
			check(t, os.MkdirAll(s.path("wheels"), 0o755))
			check(t, os.WriteFile(s.path("wheels", w.File), []byte(there), 0o644))
			check(t, s.fill(t.Context(), []wheel{w}, false))
			if pip.calls() != i {
				t.Errorf("%d downloads, want %d", pip.calls(), i)
			}
		}
	})

	t.Run("says what pip said and how to go on", func(t *testing.T) {
		pip := newIndex(t)
		check(t, os.WriteFile(filepath.Join(pip.dir, "broken"), nil, 0o644))
		w, _ := testWheel(t, "a", files, lib)
		var out bytes.Buffer
		err := pip.store(&out).fill(t.Context(), []wheel{w}, false)
		if err == nil || !strings.Contains(err.Error(), "put a-1.whl into") || !strings.Contains(out.String(), "no network") {
			t.Errorf("got %v, said %q", err, out.String())
		}
	})

	t.Run("switches between variants", func(t *testing.T) {
		pip := newIndex(t)
		rule := [][2]string{{"ort/*", "ort/"}}
		cpu, contentCPU := testWheel(t, "cpu", map[string]string{"ort/lib": "cpu"}, part{"ort", onlyCPU, rule})
		cuda, contentCUDA := testWheel(t, "cuda", map[string]string{"ort/lib": "cuda"}, part{"ort", onlyCUDA, rule})
		pip.offer(cpu, contentCPU)
		pip.offer(cuda, contentCUDA)
		s := pip.store(new(bytes.Buffer))
		for _, want := range []string{"cpu", "cuda", "cpu"} {
			check(t, s.fill(t.Context(), []wheel{cpu, cuda}, want == "cuda"))
			if got := read(t, s, "ort/lib"); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	})

	t.Run("stops when it is cancelled", func(t *testing.T) {
		pip := newIndex(t)
		w, content := testWheel(t, "a", files, lib)
		pip.offer(w, content)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := pip.store(new(bytes.Buffer)).fill(ctx, []wheel{w}, false); err == nil {
			t.Error("no error")
		}
	})
}

func TestDiskThatIsTooSmallIsSaidAtTheStart(t *testing.T) {
	t.Parallel()
	s, err := newStore(t.TempDir(), "python3", new(bytes.Buffer))
	check(t, err)
	err = s.fill(t.Context(), []wheel{{Requirement: "a==1", Bytes: 1 << 50, Parts: []part{{Slot: "a"}}}}, false)
	if err == nil || !strings.Contains(err.Error(), "free disk") {
		t.Errorf("got %v", err)
	}
}

// TestWheels checks the list for slips of the pen.
func TestWheels(t *testing.T) {
	t.Parallel()
	stamps := map[string]bool{}
	for _, w := range wheels {
		name, version, _ := strings.Cut(w.Requirement, "==")
		if !strings.HasPrefix(w.File, strings.ReplaceAll(name, "-", "_")+"-"+version+"-") || !strings.HasSuffix(w.File, ".whl") {
			t.Errorf("%s: file %s", w.Requirement, w.File)
		}
		if hash, err := hex.DecodeString(w.SHA256); err != nil || len(hash) != sha256.Size || w.Bytes <= 0 || len(w.Parts) == 0 {
			t.Errorf("%s: hash, size or parts are wrong", w.Requirement)
		}
		for _, p := range w.Parts {
			key := fmt.Sprint(p.Slot, p.Variant)
			if stamps[key] {
				t.Errorf("%s: slot %s is taken", w.Requirement, p.Slot)
			}
			stamps[key] = true
		}
	}
}
