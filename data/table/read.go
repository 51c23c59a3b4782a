package table

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"

	"github.com/parquet-go/parquet-go"
)

// Reader reads one table. Whatever the file holds, it returns errors, never panics. It is not safe for concurrent use.
type Reader[T any] struct {
	name    string
	file    *File
	schema  *parquet.Schema
	convert parquet.Conversion
	refused map[int]nulls // by the file's column index
}

// Open opens the table at path and checks that it has the columns of T. Columns that T does not have are ignored.
// A column that is missing or of another type is an error that names file, column, found and wanted type.
func Open[T any](path string) (*Reader[T], error) {
	f, err := OpenFile(path)
	if err != nil {
		return nil, err
	}
	r := &Reader[T]{name: filepath.Base(path), file: f, schema: parquet.SchemaOf(new(T))}
	err = guard(r.name, func() error {
		r.refused, err = matchSchemas(f.Parquet.Schema(), r.schema)
		if err == nil {
			r.convert, err = parquet.Convert(r.schema, f.Parquet.Schema())
		}
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return r, nil
}

// NumRows is the number of rows that the file says it holds.
func (r *Reader[T]) NumRows() int64 { return r.file.Parquet.NumRows() }

// Close closes the file.
func (r *Reader[T]) Close() error { return r.file.Close() }

// Rows reads the rows in order, a batch in memory at a time. An error is the last thing that it yields. Rows and their
// slices belong to the caller. It may be called again, and then starts again.
func (r *Reader[T]) Rows() iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		batch := make([]T, batchRows)
		row := int64(0)
		for group, err := range r.file.Groups() {
			var rows parquet.Rows
			if err == nil {
				err = guard(r.name, func() error { rows = group.Rows(); return nil })
			}
			if err != nil {
				yield(*new(T), err)
				return
			}
			more := r.group(rows, batch, &row, yield)
			_ = guard(r.name, rows.Close)
			if !more {
				return
			}
		}
	}
}

// group yields the rows of one row group. It returns false when no more are wanted or can be read.
func (r *Reader[T]) group(rows parquet.Rows, batch []T, row *int64, yield func(T, error) bool) bool {
	buffer := make([]parquet.Row, len(batch))
	for {
		n, end := 0, false
		err := guard(r.name, func() (err error) {
			n, end, err = r.read(rows, buffer, batch, *row)
			return err
		})
		for _, t := range batch[:n] {
			if !yield(t, nil) {
				return false
			}
		}
		*row += int64(n)
		if err != nil {
			yield(*new(T), err)
			return false
		}
		if end {
			return true
		}
	}
}

// read reads the next batch; row is the number of rows before it.
func (r *Reader[T]) read(rows parquet.Rows, buffer []parquet.Row, batch []T, row int64) (n int, end bool, err error) {
	n, err = rows.ReadRows(buffer)
	end = errors.Is(err, io.EOF)
	if err != nil && !end {
		return 0, false, fmt.Errorf("%s: after row %d: %w", r.name, row, err)
	}
	if n == 0 && !end {
		return 0, false, fmt.Errorf("%s: after row %d: no more rows, though the file says it has %d", r.name, row, r.NumRows())
	}
	for i, values := range buffer[:n] {
		for _, v := range values {
			if !v.IsNull() {
				continue
			}
			if n := r.refused[v.Column()]; slices.Contains(n.levels, v.DefinitionLevel()) {
				return i, false, fmt.Errorf("%s: row %d: %s", r.name, row+int64(i)+1, n.what(v.DefinitionLevel()))
			}
		}
	}
	if _, err := r.convert.Convert(buffer[:n]); err != nil {
		return 0, false, fmt.Errorf("%s: after row %d: %w", r.name, row, err)
	}
	for i, values := range buffer[:n] {
		batch[i] = *new(T)
		if err := r.schema.Reconstruct(&batch[i], values); err != nil {
			return i, false, fmt.Errorf("%s: row %d: %w", r.name, row+int64(i)+1, err)
		}
	}
	return n, end, nil
}

// Each streams a table: visit gets every row, and its error ends the reading.
func Each[T any](path string, visit func(T) error) (err error) {
	r, err := Open[T](path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for row, err := range r.Rows() {
		if err != nil {
			return err
		}
		if err := visit(row); err != nil {
			return err
		}
	}
	return nil
}

// ReadAll reads a whole table into memory.
func ReadAll[T any](path string) (all []T, err error) {
	err = Each(path, func(row T) error {
		all = append(all, row)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// File is an open Parquet file of any schema.
type File struct {
	// Parquet may panic on a damaged page: call it inside Guard only, and take row groups from Groups.
	Parquet *parquet.File
	file    *os.File
	size    int64
}

// Groups returns the row groups in order, each checked before it is returned: reading it then allocates no more than
// the file's size and the limits of a page allow.
func (f *File) Groups() iter.Seq2[parquet.RowGroup, error] {
	return func(yield func(parquet.RowGroup, error) bool) {
		name := filepath.Base(f.file.Name())
		for i, group := range f.Parquet.RowGroups() {
			err := guard(name, func() error {
				if err := checkGroup(f.file, f.size, &f.Parquet.Metadata().RowGroups[i]); err != nil {
					return fmt.Errorf("%s: row group %d: %w", name, i+1, err)
				}
				return nil
			})
			if !yield(group, err) || err != nil {
				return
			}
		}
	}
}

// OpenFile opens any Parquet file and checks, before anything is allocated for it, that what the file says about itself
// fits into the file.
func OpenFile(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	name := filepath.Base(path)
	var p *parquet.File
	var size int64
	err = guard(name, func() (err error) {
		if size, err = checkFooter(f); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		p, err = parquet.OpenFile(f, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
		if err != nil {
			return fmt.Errorf("%s: no readable Parquet file: %w", name, err)
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &File{Parquet: p, file: f, size: size}, nil
}

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }
