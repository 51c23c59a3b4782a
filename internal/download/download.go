// Package download fetches one file over http or https so that it is either wholly there, checked, or not there at all.
// A transfer that is cut, by the network, by Ctrl-C or by kill -9, goes on where it ended: the bytes so far lie in
// NAME.part, what they are a part of in NAME.part.json (RFC 9110: Range with If-Range). Servers that are busy or down are
// asked again with growing pauses; Retry-After is heeded.
package download

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"mllm4rec/internal/atomicfile"
	"mllm4rec/internal/fail"
	"mllm4rec/internal/progress"
)

// Request is what to fetch.
type Request struct {
	// URL is an http or https address.
	URL string
	// SHA256 is what the file must hash to, in lower-case hexadecimal; empty checks the length only.
	SHA256 string
	// MaxBytes is the largest file that is taken; 0 means DefaultMaxBytes.
	MaxBytes int64
}

// DefaultMaxBytes is above every public file of interactions or metadata that we know of.
const DefaultMaxBytes = 64 << 30

// Fetch brings req to dst. A dst that is there already is complete (it was renamed to its name); it is fetched again only
// if it does not hash to SHA256, or without one if it is known to come from another address. Two calls for one dst, in two processes too, wait for one another. An address that is no
// http or https address is a usage error.
func Fetch(ctx context.Context, req Request, dst string, p *progress.Printer) error {
	return newFetcher().fetch(ctx, req, dst, p)
}

// fetcher holds the pauses, which tests make short.
type fetcher struct {
	// tries is how often in a row a request may fail without bringing a byte.
	tries int
	// pause is the first wait between two tries; it doubles up to longest.
	pause, longest time.Duration
	// stall is how long a server may stay silent.
	stall time.Duration
}

func newFetcher() fetcher {
	return fetcher{tries: 6, pause: time.Second, longest: time.Minute, stall: time.Minute}
}

func (f fetcher) fetch(ctx context.Context, req Request, dst string, p *progress.Printer) (err error) {
	if err := req.check(); err != nil {
		return err
	}
	unlock, err := lock(ctx, dst)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if there, err := req.isAt(dst); there || err != nil {
		return err
	}
	part, err := openPart(dst, req.URL)
	if err != nil {
		return err
	}
	if err := f.complete(ctx, req, part, p); err != nil {
		return errors.Join(err, part.close())
	}
	if err := part.commit(dst); err != nil {
		return err
	}
	return os.WriteFile(lockPath(dst), []byte(req.URL), 0o644)
}

// complete fills part until it is whole and hashes to what it must. Old bytes that turn out to be wrong get one new start.
func (f fetcher) complete(ctx context.Context, req Request, part *part, p *progress.Printer) error {
	old := part.size > 0
	if err := f.transfer(ctx, req, part, p); err != nil {
		return err
	}
	err := verify(part.file, req.SHA256)
	if err != nil && old {
		if err := part.reset(identity{URL: req.URL}); err != nil {
			return err
		}
		if err := f.transfer(ctx, req, part, p); err != nil {
			return err
		}
		err = verify(part.file, req.SHA256)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %w; the file at that address is another one than expected", req.URL, err), part.reset(identity{}))
	}
	return nil
}

// check refuses what cannot be fetched before anything is asked.
func (r Request) check() error {
	u, err := url.Parse(r.URL)
	if err != nil {
		return fail.Usagef("download: %w", err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return fail.Usagef("download: %q is no http or https address", r.URL)
	}
	return nil
}

func (r Request) maxBytes() int64 {
	if r.MaxBytes > 0 {
		return r.MaxBytes
	}
	return DefaultMaxBytes
}

// isAt reports whether dst is the file already.
func (r Request) isAt(dst string) (bool, error) {
	f, err := os.Open(dst)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	matches := verify(f, r.SHA256) == nil
	if r.SHA256 == "" {
		from, err := os.ReadFile(lockPath(dst))
		matches = err != nil || len(from) == 0 || string(from) == r.URL // nobody knows of a file that was put there by hand
	}
	return matches, f.Close()
}

// lockPath is the file that the lock is on. It holds the address that dst came from.
func lockPath(dst string) string {
	return filepath.Join(filepath.Dir(dst), "."+filepath.Base(dst)+".lock")
}

// lock waits until no other call fetches dst. The lock ends with the process; its file stays.
func lock(ctx context.Context, dst string) (unlock func() error, err error) {
	if err := os.MkdirAll(filepath.Dir(dst), 0o755); err != nil {
		return nil, err
	}
	l := flock.New(lockPath(dst))
	if _, err := l.TryLockContext(ctx, 200*time.Millisecond); err != nil {
		return nil, fmt.Errorf("lock %s: %w", dst, err)
	}
	return l.Unlock, nil
}

// commit makes the part durable and gives it its name.
func (p *part) commit(dst string) error {
	if err := errors.Join(p.file.Sync(), p.file.Close()); err != nil {
		return err
	}
	if err := os.Rename(p.file.Name(), dst); err != nil {
		return err
	}
	if err := os.Remove(p.notes); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return atomicfile.SyncDir(filepath.Dir(dst))
}
