// Package atomicfile writes files that are either wholly there or not there at all: to a temporary name in the same
// folder, synced, renamed, and the folder synced after. A kill -9 at any instant leaves the old file or the new one.
package atomicfile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// File is a file being written. It becomes visible under its name with Commit only.
type File struct {
	*os.File
	path string
	done bool
}

// Create opens a temporary file beside path, making the folder where it is missing.
func Create(path string) (*File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".tmp-*")
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(0o644); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	return &File{File: f, path: path}, nil
}

// Sweep removes what killed writers left in folders, which may be missing. No writer may be at work there.
func Sweep(folders ...string) (err error) {
	for _, folder := range folders {
		err = errors.Join(err, sweep(folder, "."))
	}
	return err
}

// SweepFile removes what killed writers of one file left beside it. No writer of it may be at work.
func SweepFile(path string) error { return sweep(filepath.Dir(path), "."+filepath.Base(path)+".tmp-") }

// sweep removes the temporary files of a folder whose names begin with prefix.
func sweep(folder, prefix string) error {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		litter, _ := filepath.Match(".*.tmp-*", e.Name()) // fails for a bad pattern only
		if litter && strings.HasPrefix(e.Name(), prefix) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(folder, e.Name())))
		}
	}
	return err
}

// Commit syncs, closes and renames the file to its name. On an error the temporary file is gone and the old one stays.
func (f *File) Commit() error {
	f.done = true
	err := f.Sync()
	if cerr := f.File.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), f.path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return SyncDir(filepath.Dir(f.path))
}

// Abort drops what was written. After Commit it does nothing, so that it can be deferred.
func (f *File) Abort() {
	if f.done {
		return
	}
	f.done = true
	_ = f.File.Close()
	_ = os.Remove(f.Name())
}

// Write calls write with a new file and commits it if write returns no error.
func Write(path string, write func(w io.Writer) error) error {
	f, err := Create(path)
	if err != nil {
		return err
	}
	defer f.Abort()
	if err := write(f); err != nil {
		return err
	}
	return f.Commit()
}

// WriteFile is os.WriteFile, atomic and durable.
func WriteFile(path string, data []byte) error {
	return Write(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// SyncDir makes renames in dir durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
