// Package unpack takes zip and tar.gz files from strangers apart. An archive flows in, regular files flow out, all of
// them inside the folder that was named. Refused, with nothing left behind: names that leave the folder (absolute, "..",
// through a symbolic link), links and devices, two files of one name, and archives that unfold to more than Limits allow
// (zip bombs). Files appear only after the whole archive was read and checked; each by a rename.
package unpack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/sys/unix"

	"mllm4rec/internal/atomicfile"
)

// Limits bounds what one archive may unfold to. A field that is 0 means the one of DefaultLimits.
type Limits struct {
	// MaxBytes is the size of all unpacked files together.
	MaxBytes int64
	// MaxFiles is how many entries the archive may have, folders included.
	MaxFiles int
	// MaxRatio is how many bytes one byte of archive may unfold to. The first MiB is free.
	MaxRatio int64
	// Keep says which files are wanted, by their name in the archive; nil wants all. Names of the others are checked too.
	Keep func(name string) bool
}

// DefaultLimits fits the data sets that recipes name: MovieLens 32M unfolds to 950 MB, the largest Amazon file to 30 GB.
var DefaultLimits = Limits{MaxBytes: 64 << 30, MaxFiles: 100_000, MaxRatio: 200}

// freeBytes may be unpacked whatever the ratio: a few kilobytes of zeros are no bomb.
const freeBytes = 1 << 20

// withDefaults fills what the caller left 0 and lowers MaxBytes to what the ratio allows an archive of this size.
func (l Limits) withDefaults(archiveBytes int64) Limits {
	if l.MaxBytes <= 0 {
		l.MaxBytes = DefaultLimits.MaxBytes
	}
	if l.MaxFiles <= 0 {
		l.MaxFiles = DefaultLimits.MaxFiles
	}
	if l.MaxRatio <= 0 {
		l.MaxRatio = DefaultLimits.MaxRatio
	}
	if archiveBytes < l.MaxBytes/l.MaxRatio {
		l.MaxBytes = min(l.MaxBytes, freeBytes+archiveBytes*l.MaxRatio)
	}
	return l
}

// stage is the folder that files are written to before they get their names.
type stage struct {
	ctx    context.Context
	root   *os.Root // the target folder; nothing outside can be reached through it
	temp   string   // name of the staging folder in root
	limits Limits
	seen   int             // entries so far
	bytes  int64           // unpacked so far
	files  map[string]bool // names staged
	order  []string        // the same in the archive's order
}

// newStage makes dir and an empty staging folder in it. What an unpacking that was killed left there is dropped.
func newStage(ctx context.Context, archive, dir string, limits Limits) (*stage, error) {
	info, err := os.Stat(archive)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	s := &stage{ctx: ctx, root: root, temp: ".unpack-" + filepath.Base(archive), limits: limits.withDefaults(info.Size()), files: map[string]bool{}}
	err = errors.Join(root.RemoveAll(s.temp), root.Mkdir(s.temp, 0o755))
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return s, nil
}

// close removes the staging folder with whatever is still in it.
func (s *stage) close() error { return errors.Join(s.root.RemoveAll(s.temp), s.root.Close()) }

// count is called for every entry of the archive, wanted or not.
func (s *stage) count(name string) error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	if s.seen++; s.seen > s.limits.MaxFiles {
		return fmt.Errorf("has more than %d entries, the limit", s.limits.MaxFiles)
	}
	return checkName(name)
}

// wanted asks Limits.Keep.
func (s *stage) wanted(name string) bool { return s.limits.Keep == nil || s.limits.Keep(name) }

// add copies one file to the staging folder.
func (s *stage) add(name string, r io.Reader) error {
	name = path.Clean(name)
	if s.files[name] {
		return fmt.Errorf("%q is in the archive twice", name)
	}
	staged := path.Join(s.temp, name)
	if err := s.root.MkdirAll(path.Dir(staged), 0o755); err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	f, err := s.root.OpenFile(staged, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	if err := errors.Join(s.copy(f, r), f.Close()); err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	s.files[name] = true
	s.order = append(s.order, name)
	return nil
}

// copy copies until the end, the limit or the end of ctx.
func (s *stage) copy(w io.Writer, r io.Reader) error {
	buffer := make([]byte, 256<<10)
	for {
		if err := s.ctx.Err(); err != nil {
			return err
		}
		n, err := r.Read(buffer)
		if s.bytes += int64(n); s.bytes > s.limits.MaxBytes {
			return fmt.Errorf("unfolds to more than %d bytes, the limit (%d bytes a byte of archive at most)", s.limits.MaxBytes, s.limits.MaxRatio)
		}
		if _, err := w.Write(buffer[:n]); err != nil {
			return err
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// commit makes the staged bytes durable, once for all files, and gives every file its name.
func (s *stage) commit() error {
	for _, name := range s.order {
		if err := s.free(name); err != nil {
			return err
		}
	}
	dir, err := s.root.Open(".")
	if err != nil {
		return err
	}
	if err := errors.Join(unix.Syncfs(int(dir.Fd())), dir.Close()); err != nil {
		return err
	}
	for _, name := range s.order {
		if err := s.root.MkdirAll(path.Dir(name), 0o755); err != nil {
			return err
		}
		if err := s.root.Rename(path.Join(s.temp, name), name); err != nil {
			return err
		}
	}
	return atomicfile.SyncDir(s.root.Name())
}

// free refuses a name that a folder has, or below a file: no rename goes there.
func (s *stage) free(name string) error {
	info, err := s.root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%q is a folder in %s already", name, s.root.Name())
	}
	return nil
}

// checkName refuses names that are not plainly a relative path inside the folder, on any system.
func checkName(name string) error {
	switch {
	case name == "" || strings.ContainsAny(name, "\\\x00"):
		return fmt.Errorf("entry name %q is not a plain relative path", name)
	case !filepath.IsLocal(name):
		return fmt.Errorf("entry %q would land outside the folder", name)
	case strings.HasPrefix(path.Clean(name), ".unpack-"):
		return fmt.Errorf("entry name %q is reserved", name)
	}
	return nil
}

// run stages what walk adds and commits it if walk returns no error. Errors name the archive. Calls for one archive, in two
// processes too, wait for one another: they would share a staging folder.
func run(ctx context.Context, archive, dir string, limits Limits, walk func(*stage) error) (err error) {
	lock := flock.New(archive, flock.SetFlag(os.O_RDONLY))
	if _, err := lock.TryLockContext(ctx, 100*time.Millisecond); err != nil {
		return fmt.Errorf("unpack %s: %w", archive, err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	s, err := newStage(ctx, archive, dir, limits)
	if err != nil {
		return err
	}
	err = walk(s)
	if err == nil {
		err = s.commit()
	}
	if err = errors.Join(err, s.close()); err != nil {
		return fmt.Errorf("unpack %s: %w", archive, err)
	}
	return nil
}
