package stage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/dustin/go-humanize"
	"golang.org/x/sys/unix"

	"mllm4rec/internal/fail"
)

// CheckFolder makes sure that dir can be written and has room for needBytes, before hours are spent. key is what names it: a
// flag, or a key of the recipe.
func CheckFolder(dir, key string, needBytes int64) error {
	probe, err := os.CreateTemp(dir, ".probe.tmp-*")
	if err != nil {
		return fail.Usagef("folder %s cannot be written: %w; make it writable, or take another one with %s", dir, err, key)
	}
	if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
		return fail.Usagef("folder %s cannot be written: %w; make it writable, or take another one with %s", dir, err, key)
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err != nil {
		return fmt.Errorf("folder %s: %w", dir, err)
	}
	if free := int64(disk.Bavail) * disk.Bsize; free < needBytes {
		return fmt.Errorf("folder %s has %s free, the run needs about %s: free some, or take another one with %s",
			dir, humanize.Bytes(uint64(free)), humanize.Bytes(uint64(needBytes)), key)
	}
	return nil
}

// explain puts the stage's name before an error and, where the disk is at fault, what to do after it.
func explain(s Stage, dir string, err error) error {
	if !strings.HasPrefix(err.Error(), s.Name+":") && !errors.Is(err, context.Canceled) {
		err = fmt.Errorf("%s: %w", s.Name, err)
	}
	switch {
	case fail.IsUsage(err): // which says it already
		return err
	case errors.Is(err, syscall.ENOSPC), strings.Contains(err.Error(), syscall.ENOSPC.Error()): // a worker's error comes as text
		return fmt.Errorf("%w; free some space for %s and run again: finished stages are kept", err, dir)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w; make it accessible, or name another", err)
	default:
		return err
	}
}
