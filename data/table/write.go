package table

import (
	"bufio"
	"fmt"
	"path/filepath"
	"reflect"

	"github.com/parquet-go/parquet-go"

	"mllm4rec/internal/atomicfile"
)

const (
	batchRows     = 64      // rows handed to the encoder at once; fixed, so that bytes do not depend on the caller's batches
	groupBytes    = 4 << 20 // of a row group, its finished pages compressed: what a writer holds in memory
	groupRows     = 1 << 20 // of a row group
	fileBufferLen = 64 << 10
)

// Writer writes one table. It holds at most one row group (4 MiB) in memory. It is not safe for concurrent use.
type Writer[T any] struct {
	path     string
	file     *atomicfile.File
	buffer   *bufio.Writer
	parquet  *parquet.GenericWriter[T]
	batch    []T
	oneByOne bool // rows with lists: their slices belong to the caller, so they are encoded at once
	rows     int64
	flushed  int64 // bytes of the file before the row group that is being built
	err      error
}

// Create begins the table at path. Nothing is visible there before Commit. T is one of the row structs of this package
// or a struct of the same kind.
func Create[T any](path string) (*Writer[T], error) {
	f, err := atomicfile.Create(path)
	if err != nil {
		return nil, err
	}
	w := &Writer[T]{path: path, file: f, buffer: bufio.NewWriterSize(f, fileBufferLen), oneByOne: hasSlices[T]()}
	w.parquet = parquet.NewGenericWriter[T](w.buffer,
		parquet.Compression(&codec{}),
		parquet.DataPageVersion(1),
		parquet.CreatedBy("mllm4rec", "1", ""))
	return w, nil
}

func hasSlices[T any]() bool {
	t := reflect.TypeFor[T]()
	for i := range t.NumField() {
		if t.Field(i).Type.Kind() == reflect.Slice {
			return true
		}
	}
	return false
}

// Write appends rows. Their slices may be changed as soon as it returns. After an error every later call returns it.
func (w *Writer[T]) Write(rows ...T) error {
	if w.err != nil {
		return w.err
	}
	if w.oneByOne {
		for i := range rows {
			w.encode(rows[i : i+1])
		}
		return w.err
	}
	for len(rows) > 0 && w.err == nil {
		n := min(batchRows-len(w.batch), len(rows))
		w.batch = append(w.batch, rows[:n]...)
		rows = rows[n:]
		if len(w.batch) == batchRows {
			w.encode(w.batch)
			w.batch = w.batch[:0]
		}
	}
	return w.err
}

// encode hands rows to the encoder and ends the row group when it is big enough.
func (w *Writer[T]) encode(rows []T) {
	if w.err != nil {
		return
	}
	n, err := w.parquet.Write(rows)
	w.rows += int64(n)
	if err == nil && w.rows%batchRows == 0 && (w.rows%groupRows == 0 || w.parquet.Size()-w.flushed >= groupBytes) {
		err = w.parquet.Flush()
		w.flushed = w.parquet.Size()
	}
	if err != nil {
		w.err = fmt.Errorf("%s: row %d: %w", filepath.Base(w.path), w.rows+1, err)
	}
}

// Commit writes what is left, syncs, and puts the file in place of the old one.
func (w *Writer[T]) Commit() error {
	defer w.file.Abort()
	if len(w.batch) > 0 {
		w.encode(w.batch)
		w.batch = nil
	}
	if w.err != nil {
		return w.err
	}
	w.err = fmt.Errorf("%s: already committed", filepath.Base(w.path))
	if err := w.parquet.Close(); err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(w.path), err)
	}
	if err := w.buffer.Flush(); err != nil {
		return err
	}
	return w.file.Commit()
}

// Abort drops the file. After Commit it does nothing, so that it can be deferred.
func (w *Writer[T]) Abort() { w.file.Abort() }

// WriteAll writes a whole table at once.
func WriteAll[T any](path string, rows []T) error {
	w, err := Create[T](path)
	if err != nil {
		return err
	}
	defer w.Abort()
	if err := w.Write(rows...); err != nil {
		return err
	}
	return w.Commit()
}
