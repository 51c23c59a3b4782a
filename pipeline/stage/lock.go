package stage

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gofrs/flock"

	"mllm4rec/internal/fail"
)

// Lock keeps a second run out of a folder. The kernel drops it when the process ends, however it ends.
type Lock struct{ flock *flock.Flock }

// Acquire makes the run folder dir where it is missing and locks it. Where another process holds it, the error names it.
func Acquire(dir string) (*Lock, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fail.Usagef("run folder %s cannot be made: %w; take another one with --run", dir, err)
	}
	path := filepath.Join(dir, ".lock")
	lock := flock.New(path)
	held, err := lock.TryLock()
	if err != nil {
		return nil, fail.Usagef("run folder %s cannot be locked: %w; make it writable, or take another one with --run", dir, err)
	}
	if !held {
		return nil, fmt.Errorf("run folder %s is in use by %s; wait for it, or take another folder with --run", dir, holder(path))
	}
	if err := os.WriteFile(path, fmt.Appendf(nil, "%d\n", os.Getpid()), 0o644); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("run folder: %w", err)
	}
	return &Lock{lock}, nil
}

// holder names the process that wrote its id into the lock file.
func holder(path string) string {
	text, err := os.ReadFile(path)
	if pid, perr := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && perr == nil {
		return fmt.Sprintf("process %d", pid)
	}
	return "another process"
}

// Release lets the next run in. The file stays: removing it would race with a run that has just opened it.
func (l *Lock) Release() error { return l.flock.Close() }
