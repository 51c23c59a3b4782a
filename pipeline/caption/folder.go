package caption

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dustin/go-humanize"

	"mllm4rec/data/picture"
	"mllm4rec/internal/fail"
	"mllm4rec/pipeline/images"
)

// file is a picture's file.
type file struct {
	name, path    string // in the table, and where it lies
	size, modTime int64  // in bytes, and in nanoseconds since 1970
	sum           string // SHA-256 in hex, where it is known before the file is read
}

// listFolder lists the files of a folder and of those in it that are called as pictures are, by name; what begins with a dot
// is passed over. None is a usage error.
func listFolder(dir string) (files []file, err error) {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, fail.Usagef("%s: no such folder; name the one with the pictures", dir)
	}
	root, err := filepath.EvalSymlinks(dir) // WalkDir goes through no link
	if err != nil {
		return nil, err
	}
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		hidden := path != root && strings.HasPrefix(entry.Name(), ".")
		switch {
		case err != nil:
			return err
		case hidden && entry.IsDir():
			return fs.SkipDir
		case hidden || entry.IsDir() || !images.Named(entry.Name()):
			return nil
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		f := file{name: strings.ToValidUTF8(filepath.ToSlash(name), "\uFFFD"), path: path}
		if info, err := os.Stat(path); err == nil { // read says what is wrong otherwise
			if info.IsDir() {
				return nil
			}
			f.size, f.modTime = info.Size(), info.ModTime().UnixNano()
		}
		files = append(files, f)
		return nil
	})
	if err == nil && len(files) == 0 {
		err = fail.Usagef("%s holds no pictures, which are files that end in %s; name the folder with the pictures", dir, strings.Join(images.Endings(), ", "))
	}
	return files, err
}

// read reads a file that is no larger than a picture's. Errors do not name it.
func (f file) read() ([]byte, error) {
	info, err := os.Stat(f.path) // before it is opened: a named pipe would wait for a writer
	switch {
	case err != nil:
		return nil, bare(err)
	case !info.Mode().IsRegular():
		return nil, errors.New("not a file")
	case info.Size() > picture.MaxBytes:
		return nil, fmt.Errorf("the file has %s; at most %s are read", humanize.IBytes(uint64(info.Size())), humanize.IBytes(picture.MaxBytes))
	}
	from, err := os.Open(f.path)
	if err != nil {
		return nil, bare(err)
	}
	defer func() { _ = from.Close() }() // read only
	data, err := io.ReadAll(io.LimitReader(from, picture.MaxBytes+1))
	if err != nil {
		return nil, bare(err)
	}
	return data, nil
}

// bare is what the system says, without the path.
func bare(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	return fmt.Errorf("cannot be read: %w", err)
}
