// Package lines reads big text files line by line without trusting them: gzip is recognised by its first bytes, a line
// has a greatest length, memory is bounded, and nothing is allocated for a line.
package lines

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"
)

const (
	// MaxBytes is the greatest length of a line. Longer ones are cut and marked.
	MaxBytes = 16 << 20
	// maxRecordBytes is the greatest length of a quoted record that spans lines.
	maxRecordBytes = 64 << 10
	startBytes     = 256 << 10
	cutBytes       = 256
)

// Reader reads lines. It is not safe for concurrent use.
type Reader struct {
	in         io.Reader
	buf        []byte
	start, end int // unread bytes of buf
	lineStart  int // the line that Next returned last
	lineEnd    int
	eof        bool
	err        error
}

// NewReader reads lines from in, which must already be decompressed.
func NewReader(in io.Reader) *Reader { return &Reader{in: in, buf: make([]byte, startBytes)} }

// Next returns the next line without its end ("\n" or "\r\n"). The line is valid until the next call. A line longer than
// MaxBytes is skipped, and its first bytes are returned with tooLong. At the end err is io.EOF; a last line without an
// end counts.
func (r *Reader) Next() (line []byte, tooLong bool, err error) {
	scanned := 0
	for {
		if i := bytes.IndexByte(r.buf[r.start+scanned:r.end], '\n'); i >= 0 && scanned+i <= MaxBytes {
			return r.take(scanned+i, 1), false, nil
		}
		scanned = r.end - r.start
		if scanned > MaxBytes {
			return r.skip()
		}
		if r.eof {
			if scanned == 0 || r.err != nil {
				return nil, false, r.failure()
			}
			return r.take(scanned, 0), false, nil
		}
		r.fill()
	}
}

// SkipPrefix steps over prefix if it comes next.
func (r *Reader) SkipPrefix(prefix []byte) {
	for r.end-r.start < len(prefix) && !r.eof {
		r.fill()
	}
	if bytes.HasPrefix(r.buf[r.start:r.end], prefix) {
		r.start += len(prefix)
	}
}

func (r *Reader) failure() error {
	if r.err != nil {
		return r.err
	}
	return io.EOF
}

// take returns the next n bytes as a line and steps over them and the line's end.
func (r *Reader) take(n, end int) []byte {
	r.lineStart, r.lineEnd = r.start, r.start+n
	r.start += n + end
	return trimCR(r.buf[r.lineStart:r.lineEnd])
}

func trimCR(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		return line[:n-1]
	}
	return line
}

// skip drops the rest of a line that is too long, in bounded memory.
func (r *Reader) skip() ([]byte, bool, error) {
	cut := bytes.Clone(r.buf[r.start : r.start+cutBytes])
	for {
		i := bytes.IndexByte(r.buf[r.start:r.end], '\n')
		if i >= 0 {
			r.start += i + 1
			r.lineStart, r.lineEnd = r.start, r.start
			return cut, true, nil
		}
		r.start, r.end = 0, 0
		if r.eof {
			r.lineStart, r.lineEnd = 0, 0
			return cut, true, nil
		}
		r.fill()
	}
}

// Extend returns the last line again, together with the one after it, for a quoted field that holds a line end. It
// returns false when there is no further line or the whole grows beyond 64 KiB; then the next line stays unread.
func (r *Reader) Extend() ([]byte, bool) {
	for {
		if i := bytes.IndexByte(r.buf[r.start:r.end], '\n'); i >= 0 {
			if r.start+i-r.lineStart > maxRecordBytes {
				return nil, false
			}
			return r.extend(i, 1), true
		}
		if r.eof {
			if r.start == r.end || r.err != nil {
				return nil, false
			}
			return r.extend(r.end-r.start, 0), true
		}
		if r.end-r.lineStart > maxRecordBytes {
			return nil, false
		}
		r.fillFrom(r.lineStart)
	}
}

func (r *Reader) extend(n, end int) []byte {
	r.lineEnd = r.start + n
	r.start += n + end
	return trimCR(r.buf[r.lineStart:r.lineEnd])
}

// Reread makes the lines that Extend joined to the first one unread again; size is that of the first line with its end.
func (r *Reader) Reread(size int) { r.start = r.lineStart + size }

// First is the first of the lines that Extend joined, without its end.
func (r *Reader) First(size int) []byte {
	return trimCR(bytes.TrimSuffix(r.buf[r.lineStart:r.lineStart+size], []byte("\n")))
}

// Consumed is the number of bytes of the last line with its end.
func (r *Reader) Consumed() int { return r.start - r.lineStart }

func (r *Reader) fill() { r.fillFrom(r.start) }

// fillFrom reads more, keeping the bytes from keep on.
func (r *Reader) fillFrom(keep int) {
	if keep > 0 {
		copy(r.buf, r.buf[keep:r.end])
		r.start, r.end, r.lineStart, r.lineEnd = r.start-keep, r.end-keep, r.lineStart-keep, r.lineEnd-keep
	}
	if r.end == len(r.buf) {
		grown := make([]byte, min(2*len(r.buf), MaxBytes+startBytes))
		copy(grown, r.buf[:r.end])
		r.buf = grown
	}
	n, err := r.in.Read(r.buf[r.end:])
	r.end += n
	if err != nil {
		r.eof = true
		if !errors.Is(err, io.EOF) {
			r.err = err
		}
	}
}

// File is an open text file, gzip or not.
type File struct {
	file *os.File
	text io.Reader
	stop func()
}

// Open opens a text file; gzip (also of several members) is recognised by its first bytes and decompressed ahead, in
// another goroutine. count, unless nil, is told of every byte read from disk.
func Open(path string, count func(n int)) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	var raw io.Reader = f
	if count != nil {
		raw = &counter{f, count}
	}
	buffered := bufio.NewReaderSize(raw, startBytes)
	magic, _ := buffered.Peek(2)
	if !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return &File{file: f, text: buffered, stop: func() {}}, nil
	}
	unzipped, err := gzip.NewReader(buffered)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	ahead := readAhead(unzipped)
	return &File{file: f, text: ahead, stop: ahead.stop}, nil
}

// Read reads decompressed text.
func (f *File) Read(p []byte) (int, error) { return f.text.Read(p) }

// Close stops reading ahead and closes the file.
func (f *File) Close() error {
	f.stop()
	return f.file.Close()
}

type counter struct {
	in    io.Reader
	count func(n int)
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.count(n)
	return n, err
}
