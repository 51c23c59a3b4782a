package download

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"mllm4rec/internal/progress"
)

// permanent is an error that another try would meet again.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// errStalled ends an attempt in which the server fell silent.
var errStalled = errors.New("the server fell silent")

// transfer makes attempts until part is whole. Only attempts in a row that brought nothing new count as failures.
func (f fetcher) transfer(ctx context.Context, req Request, part *part, p *progress.Printer) error {
	client := f.client()
	bar := &lazyBar{printer: p, label: "download " + strings.TrimSuffix(filepath.Base(part.file.Name()), ".part")}
	defer bar.finish()
	furthest := part.size
	for failures := 1; ; failures++ {
		err := f.attempt(ctx, client, req, part, bar)
		var never permanent
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &never):
			return fmt.Errorf("%s: %w", req.URL, err)
		case part.size > furthest:
			furthest, failures = part.size, 0
		case failures >= f.tries:
			return fmt.Errorf("%s: gave up after %d tries in a row: %w%s", req.URL, failures, err, part.kept())
		}
		if err := sleep(ctx, f.backoff(failures)); err != nil {
			return err
		}
	}
}

// attempt asks for what is missing and appends what comes.
func (f fetcher) attempt(ctx context.Context, client *retryablehttp.Client, req Request, part *part, bar *lazyBar) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	request, err := newRequest(ctx, req, part)
	if err != nil {
		return permanent{err}
	}
	response, err := client.Do(request)
	if err != nil { // the client has tried often enough
		return permanent{fmt.Errorf("%w%s", err, part.kept())}
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	total, whole, err := accept(response, req, part)
	if whole || err != nil {
		return err
	}
	bar.start(part.size, total)
	silence := time.AfterFunc(f.stall, func() { cancel(errStalled) })
	defer silence.Stop()
	err = copyBody(part, response.Body, req.maxBytes(), func() { silence.Reset(f.stall); bar.set(part.size) })
	if err != nil && errors.Is(context.Cause(ctx), errStalled) {
		return errStalled
	}
	if err == nil && total >= 0 && part.size != total {
		return fmt.Errorf("%d of %d bytes came", part.size, total)
	}
	return err
}

func newRequest(ctx context.Context, req Request, part *part) (*retryablehttp.Request, error) {
	request, err := retryablehttp.NewRequestWithContext(ctx, http.MethodGet, req.URL, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", "mllm4rec")
	// Ranges count bytes of what is sent: no compression on the way.
	request.Header.Set("Accept-Encoding", "identity")
	if part.size > 0 && part.of.validator() != "" {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", part.size))
		request.Header.Set("If-Range", part.of.validator())
	}
	return request, nil
}

// accept brings part to where the body of response begins and returns the size of the whole file, -1 where the server does
// not say it. whole says that nothing is missing.
func accept(response *http.Response, req Request, part *part) (total int64, whole bool, err error) {
	switch response.StatusCode {
	case http.StatusOK:
		of := identity{URL: req.URL, ETag: response.Header.Get("ETag"), LastModified: response.Header.Get("Last-Modified")}
		if err := part.reset(of); err != nil {
			return 0, false, permanent{err}
		}
		total = response.ContentLength
	case http.StatusPartialContent:
		var first, last int64
		_, err := fmt.Sscanf(response.Header.Get("Content-Range"), "bytes %d-%d/%d", &first, &last, &total)
		if err != nil || first != part.size || last != total-1 || !part.of.fits(response.Header) {
			return 0, false, errors.Join(fmt.Errorf("the server answered with another range (%q)", response.Header.Get("Content-Range")), part.reset(identity{URL: req.URL}))
		}
	case http.StatusRequestedRangeNotSatisfiable:
		var size int64
		if _, err := fmt.Sscanf(response.Header.Get("Content-Range"), "bytes */%d", &size); err == nil && size == part.size {
			return size, true, nil
		}
		return 0, false, errors.Join(errors.New("the part is longer than the file"), part.reset(identity{URL: req.URL}))
	default:
		return 0, false, statusError(response)
	}
	if total > req.maxBytes() {
		return 0, false, permanent{tooLarge(req.maxBytes())}
	}
	return total, false, nil
}

func tooLarge(limit int64) error {
	return fmt.Errorf("the file is larger than %d bytes, the limit", limit)
}

// statusError is for an answer that is no file. Where another try may help (429, 5xx) the client has tried enough.
func statusError(response *http.Response) error {
	err := fmt.Errorf("the server answered %s", response.Status)
	switch response.StatusCode {
	case http.StatusNotFound, http.StatusGone, http.StatusForbidden, http.StatusUnauthorized:
		err = fmt.Errorf("%w (has the file moved? fetch it by hand and name it as the local path)", err)
	}
	return permanent{err}
}

// copyBody appends until the body ends; each is called after every piece.
func copyBody(part *part, body io.Reader, limit int64, each func()) error {
	buffer := make([]byte, 256<<10)
	for {
		n, err := body.Read(buffer)
		if part.size+int64(n) > limit {
			return permanent{tooLarge(limit)}
		}
		if _, err := part.Write(buffer[:n]); err != nil {
			return permanent{err}
		}
		each()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// lazyBar begins when the size is known.
type lazyBar struct {
	printer *progress.Printer
	label   string
	bar     *progress.Bar
}

func (b *lazyBar) start(done, total int64) {
	if b.bar == nil {
		b.bar = b.printer.Start(b.label, total, "bytes")
	}
	b.bar.Set(done, "")
}

func (b *lazyBar) set(done int64) { b.bar.Set(done, "") }

func (b *lazyBar) finish() {
	if b.bar != nil {
		b.bar.Finish()
	}
}
