package caption

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	"mllm4rec/data/table"
	"mllm4rec/internal/atomicfile"
	"mllm4rec/internal/fail"
)

const (
	// PartsEnding is that of the folder with the finished parts, which stands beside the table until the table is there.
	PartsEnding = ".parts"
	// planFile says what the parts are of.
	planFile = "plan"
)

// parts are the rows that are finished: files of a batch each, for the next run if this one is killed.
type parts struct {
	dir   string
	count int // finished, one after the other
	lock  *flock.Flock
}

// openParts makes the folder, or finds the parts that an earlier run of the same plan left there; those of another plan go. No
// two processes may work in it.
func openParts(dir, plan string) (kept *parts, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fail.Usagef("the folder for what is finished cannot be made: %w; name another file", err)
	}
	kept = &parts{dir: dir, lock: flock.New(filepath.Join(dir, ".lock"))}
	held, err := kept.lock.TryLock()
	if err != nil {
		return nil, err
	}
	if !held {
		return nil, fmt.Errorf("another process is writing what %s belongs to; wait for it, or name another file", dir)
	}
	if err := kept.find(plan); err != nil {
		return nil, errors.Join(err, kept.close())
	}
	return kept, nil
}

// find counts the parts of the plan, and removes all others.
func (p *parts) find(plan string) error {
	if err := atomicfile.Sweep(p.dir); err != nil {
		return err
	}
	path := filepath.Join(p.dir, planFile)
	if old, err := os.ReadFile(path); err != nil || string(old) != plan {
		return errors.Join(p.clear(), atomicfile.WriteFile(path, []byte(plan)))
	}
	for {
		_, err := os.Stat(p.path(p.count))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		p.count++
	}
}

// clear removes parts of another plan.
func (p *parts) clear() error {
	entries, err := os.ReadDir(p.dir)
	for _, e := range entries {
		if stale, _ := filepath.Match("part-*.parquet", e.Name()); stale { // fails for a bad pattern only
			err = errors.Join(err, os.Remove(filepath.Join(p.dir, e.Name())))
		}
	}
	return err
}

func (p *parts) path(i int) string { return filepath.Join(p.dir, fmt.Sprintf("part-%06d.parquet", i)) }

// read reads a part.
func (p *parts) read(i int) ([]Row, error) {
	rows, err := table.ReadAll[Row](p.path(i))
	if err != nil {
		return nil, fmt.Errorf("%w; remove %s to begin anew", err, p.dir)
	}
	return rows, nil
}

// all reads them all.
func (p *parts) all() (rows []Row, err error) {
	for i := range p.count {
		part, err := p.read(i)
		if err != nil {
			return nil, err
		}
		rows = append(rows, part...)
	}
	return rows, nil
}

// add writes the next part.
func (p *parts) add(rows []Row) error {
	if err := table.WriteAll(p.path(p.count), rows); err != nil {
		return err
	}
	p.count++
	return nil
}

// remove removes the folder, once the table is there.
func (p *parts) remove() error { return os.RemoveAll(p.dir) }

func (p *parts) close() error { return p.lock.Close() }
