package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"mllm4rec/internal/atomicfile"
	"mllm4rec/internal/unpack"
)

// wheelLimits: libtorch 2.1.2 holds 10,609 files, cuBLAS 650 MB.
var wheelLimits = unpack.Limits{MaxBytes: 4 << 30, MaxFiles: 20_000}

// place takes what parts need out of the wheel and stamps each. A kill in between leaves parts that are unstamped and
// are taken out again; every file is either the old one or the new one.
func (s store) place(ctx context.Context, w wheel, parts []part) error {
	temp := s.path("tmp", "unpacked")
	if err := os.RemoveAll(temp); err != nil {
		return err
	}
	limits := wheelLimits
	limits.Keep = func(name string) bool { return destination(parts, name) != "" }
	if err := unpack.Zip(ctx, s.path("wheels", w.File), temp, limits); err != nil {
		return err
	}
	placed, err := s.moveAll(temp, parts)
	if err != nil {
		return err
	}
	if placed == 0 {
		return fmt.Errorf("%s holds none of the files that are needed", w.File)
	}
	for _, p := range parts {
		if err := atomicfile.WriteFile(s.stampPath(p), []byte(stamp(w, p))); err != nil {
			return err
		}
	}
	return os.RemoveAll(temp)
}

// moveAll renames every file below temp to its destination and returns how many there were.
func (s store) moveAll(temp string, parts []part) (int, error) {
	placed := 0
	err := filepath.WalkDir(temp, func(from string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(temp, from)
		if err != nil {
			return err
		}
		to := s.path(destination(parts, filepath.ToSlash(name)))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		placed++
		return os.Rename(from, to)
	})
	return placed, err
}

// destination is where a file of a wheel goes, relative to .deps; "" is nowhere.
func destination(parts []part, name string) string {
	for _, p := range parts {
		for _, rule := range p.Files {
			from, to := rule[0], rule[1]
			if rest, below := strings.CutPrefix(name, from); below && strings.HasSuffix(from, "/") && rest != "" {
				return to + rest
			}
			if match, _ := path.Match(from, name); match {
				return to + path.Base(name)
			}
		}
	}
	return ""
}

// stamp is what the stamp of a part says once it is in place: it changes with the wheel and with what is taken from it.
func stamp(w wheel, p part) string {
	sum := sha256.Sum256(fmt.Append(nil, w.SHA256, p))
	return w.Requirement + " " + hex.EncodeToString(sum[:]) + "\n"
}

func (s store) stampPath(p part) string { return s.path("done", p.Slot) }

func (s store) stamped(w wheel, p part) bool {
	text, err := os.ReadFile(s.stampPath(p))
	return err == nil && string(text) == stamp(w, p)
}

// stubNames are the libraries that gotch's own cgo lines name and that a build without CUDA does not have.
var stubNames = []string{"cuda", "cudart", "cublas", "cudnn", "caffe2_nvrtc", "nvrtc", "nvrtc-builtins", "nvToolsExt", "c10_cuda", "torch_cuda", "torch"}

// realWithCUDA are those of them that a CUDA build links. They pull in the rest from their own folder; caffe2_nvrtc, which
// needs a driver, when it is used.
var realWithCUDA = map[string]bool{"c10_cuda": true, "torch_cuda": true, "torch": true}

// writeStubs writes linker scripts that say nothing: stubs/ for a CPU build, stubs-cuda/ for a CUDA build.
func (s store) writeStubs() error {
	for _, name := range stubNames {
		file := "lib" + name + ".so"
		if err := writeIfAbsent(s.path("stubs", file)); err != nil {
			return err
		}
		if realWithCUDA[name] {
			continue
		}
		if err := writeIfAbsent(s.path("stubs-cuda", file)); err != nil {
			return err
		}
	}
	return nil
}

// linkGomp gives libtorch's OpenMP the name that the linker records for it, so that one OpenMP is loaded and not the
// system's beside it.
func (s store) linkGomp() error {
	bundled, err := filepath.Glob(s.path(torchLib, "libgomp-*"))
	if err != nil || len(bundled) == 0 {
		return err
	}
	err = os.Symlink(filepath.Base(bundled[0]), s.path(torchLib, "libgomp.so.1"))
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

func writeIfAbsent(file string) error {
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	return atomicfile.WriteFile(file, []byte("/* named by gotch, not needed */\n"))
}
