package source

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"

	"mllm4rec/data/source/lines"
	"mllm4rec/internal/fail"
)

const (
	ctxRows      = 4096    // rows between two looks at the context
	hopelessRows = 100_000 // bad rows without a good one, after which a file is given up
)

var utf8BOM = []byte("\xef\xbb\xbf")

// tally counts the rows of one file and hands on the bad ones.
type tally struct {
	path, hint string
	log        Log
	row        int64 // the row that is being read, from 1
	good, bad  int64
	reason     Reason // the last one, and its row
	badRow     int64
}

// use counts what became of the current row: err is nil, a Reason, or an error that ends the reading.
func (t *tally) use(raw []byte, err error) error {
	if err == nil {
		t.good++
		return nil
	}
	reason, ok := errors.AsType[Reason](err)
	if !ok {
		return err
	}
	t.bad++
	t.reason, t.badRow = reason, t.row
	t.log.Reject(Reject{File: filepath.Base(t.path), Row: t.row, Reason: reason, Raw: cut(raw)})
	if t.good == 0 && t.bad >= hopelessRows {
		return t.verdict()
	}
	return nil
}

// verdict fails a file that has no rows, or more bad ones than good ones.
func (t *tally) verdict() error {
	switch {
	case t.good+t.bad == 0:
		return fail.Usagef("%s: no rows in it", t.path)
	case t.bad > t.good:
		return fail.Usagef("%s: %d of %d rows are bad (row %d: %s): wrong format? %s", t.path, t.bad, t.good+t.bad, t.badRow, t.reason, t.hint)
	}
	return nil
}

// textFile is how to read one text file.
type textFile struct {
	path string
	// hint is what to try when most rows are bad.
	hint string
	// quote is true where a quoted field may hold line ends (CSV); delimiter is then its delimiter.
	quote     bool
	delimiter byte
	// header, if not nil, is called with the first line, which is then no row.
	header func(line []byte) error
}

// each calls parse for every line that is not blank. parse returns a Reason for a bad row; other errors end the reading.
func (f textFile) each(ctx context.Context, log Log, parse func(line []byte) error) (err error) {
	size := int64(-1)
	if info, err := os.Stat(f.path); err == nil {
		size = info.Size()
	}
	bar := log.Progress.Start("read "+filepath.Base(f.path), size, "bytes")
	defer bar.Finish()
	file, err := lines.Open(f.path, func(n int) { bar.Add(int64(n)) })
	if err != nil {
		return f.explain(err, 0)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	t := &tally{path: f.path, hint: f.hint, log: log}
	return f.lines(ctx, lines.NewReader(file), t, parse)
}

func (f textFile) lines(ctx context.Context, r *lines.Reader, t *tally, parse func(line []byte) error) error {
	headed := f.header == nil
	r.SkipPrefix(utf8BOM)
	for {
		line, tooLong, err := r.Next()
		if errors.Is(err, io.EOF) {
			return t.verdict()
		}
		if err != nil {
			return f.explain(err, t.row)
		}
		t.row++
		if t.row%ctxRows == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if len(line) == 0 {
			continue
		}
		if !headed {
			headed = true
			if err := f.header(line); err != nil {
				return fail.Usagef("%s: line %d: %w", f.path, t.row, err)
			}
			continue
		}
		if err := f.record(r, t, line, tooLong, parse); err != nil {
			return err
		}
	}
}

// record parses one line, or the lines that a quoted field joins.
func (f textFile) record(r *lines.Reader, t *tally, line []byte, tooLong bool, parse func(line []byte) error) error {
	if tooLong {
		return t.use(line, LineTooLong)
	}
	extra := int64(0)
	quotes := quoteScan{delimiter: f.delimiter}
	if f.quote && bytes.IndexByte(line, '"') >= 0 && quotes.openAt(line) {
		size, joined, ok := r.Consumed(), line, true
		for ok && quotes.openAt(joined) {
			if joined, ok = r.Extend(); ok {
				extra++
			}
		}
		if !ok {
			r.Reread(size)
			return t.use(r.First(size), OpenQuote)
		}
		line = joined
	}
	err := t.use(line, parse(line))
	t.row += extra
	return err
}

// explain makes an error of reading one for the user.
func (f textFile) explain(err error, row int64) error {
	var corrupt flate.CorruptInputError
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fail.Usagef("%w: check data.path and the file names in the recipe", err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fail.Usagef("%s: after row %d: the gzip data ends early (a cut-off download?): fetch it again", f.path, row)
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader), errors.As(err, &corrupt):
		return fail.Usagef("%s: after row %d: damaged gzip data (%w): fetch it again", f.path, row, err)
	}
	return fail.Usagef("%s: after row %d: %w", f.path, row, err)
}
