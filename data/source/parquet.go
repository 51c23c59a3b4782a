package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"mllm4rec/data/table"
	"mllm4rec/internal/fail"
)

// parquetSource reads anyone's own Parquet files by a column map.
type parquetSource struct {
	pair
	o Options
}

const (
	parquetHint  = "Check data.columns and data.timestamp_unit."
	parquetBatch = 1024 // values read from a column at once
)

func openParquet(o Options) (Source, error) {
	if err := checkColumns(o); err != nil {
		return nil, err
	}
	p := parquetSource{pair: o.named(), o: o}
	return p, p.check()
}

// leafColumn finds a column that holds one value a row. An empty name is -1.
func leafColumn(schema *parquet.Schema, name string) (index int, node parquet.Node, err error) {
	if name == "" {
		return -1, nil, nil
	}
	leaf, ok := schema.Lookup(name)
	if !ok {
		var names []string
		for _, f := range schema.Fields() {
			if f.Name() == name { // of more than a leaf
				return 0, nil, fail.Usagef("column %q holds lists or groups, wanted one value a row", name)
			}
			names = append(names, f.Name())
		}
		return 0, nil, fail.Usagef("no column %q; the file has: %s", name, shown(names))
	}
	if leaf.MaxRepetitionLevel > 0 {
		return 0, nil, fail.Usagef("column %q holds lists, wanted one value a row", name)
	}
	if _, ok := logicalType(leaf.Node).(*format.DecimalType); ok {
		return 0, nil, fail.Usagef("column %q is DECIMAL, which is not read: write it as DOUBLE, or as INT64 if it is whole", name)
	}
	return leaf.ColumnIndex, leaf.Node, nil
}

// groupReader reads one of the two files.
type groupReader interface {
	// find looks for its columns.
	find(schema *parquet.Schema) error
	// group reads the rows of one row group, and counts them.
	group(ctx context.Context, group parquet.RowGroup, count func(n int)) error
}

// readGroups streams the file of t through r, one row group after the other.
func readGroups(ctx context.Context, t *tally, r groupReader) (err error) {
	file, err := table.OpenFile(t.path)
	if err != nil {
		return fail.Usagef("source: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	name := filepath.Base(t.path)
	bar := t.log.Progress.Start("read "+name, file.Parquet.NumRows(), "rows")
	defer bar.Finish()
	return table.Guard(name, func() error {
		if err := r.find(file.Parquet.Schema()); err != nil {
			return fail.Usagef("%s: %w", t.path, err)
		}
		for group, err := range file.Groups() {
			if err != nil {
				return err
			}
			if err := r.group(ctx, group, func(n int) { bar.Add(int64(n)) }); err != nil {
				return err
			}
		}
		return t.verdict()
	})
}

// Interactions implements Source.
func (p parquetSource) Interactions(ctx context.Context, log Log, row func(Interaction) error) error {
	t := &tally{path: p.interactions, hint: parquetHint, log: log}
	return readGroups(ctx, t, &interactionReader{columns: p.o.Columns, tally: t, row: row})
}

// interactionReader reads up to four columns of a file side by side.
type interactionReader struct {
	columns  Columns
	tally    *tally
	row      func(Interaction) error
	places   [4]int  // of user, item, rating, timestamp; -1 for none
	signless [2]bool // user and item
	unit     timeUnit
	scratch  [2][]byte
}

func (r *interactionReader) find(schema *parquet.Schema) (err error) {
	for i, name := range []string{r.columns.User, r.columns.Item, r.columns.Rating, r.columns.Timestamp} {
		var node parquet.Node
		if r.places[i], node, err = leafColumn(schema, name); err != nil {
			return err
		}
		switch {
		case i < len(r.signless):
			r.signless[i] = table.Signless(node)
		case i == 3:
			r.unit = columnUnit(node, r.columns.TimestampUnit)
		}
	}
	return nil
}

// columnUnit is the unit of a TIMESTAMP or DATE column, or else the named one.
func columnUnit(node parquet.Node, name string) timeUnit {
	if node == nil {
		return timeUnits[name]
	}
	if own, ok := table.TimestampUnit(node); ok {
		return timeUnits[own]
	}
	if _, ok := logicalType(node).(*format.DateType); ok {
		return days
	}
	return timeUnits[name]
}

// logicalType is what the numbers of a column mean; nil where they are just numbers.
func logicalType(node parquet.Node) any {
	if l := node.Type().LogicalType(); l != nil {
		return l.Value
	}
	return nil
}

// group reads the rows of one row group.
func (r *interactionReader) group(ctx context.Context, group parquet.RowGroup, count func(n int)) error {
	var readers [4]parquet.ValueReader
	for i, place := range r.places {
		if place >= 0 {
			reader := parquet.NewColumnChunkValueReader(group.ColumnChunks()[place])
			defer func() { _ = reader.Close() }()
			readers[i] = reader
		}
	}
	var columns [4][]parquet.Value
	for i := range columns {
		columns[i] = make([]parquet.Value, parquetBatch)
	}
	for left := group.NumRows(); left > 0; {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		n := int(min(left, parquetBatch))
		for i, reader := range readers {
			if reader == nil {
				continue
			}
			if err := readFull(reader, columns[i][:n]); err != nil {
				return fmt.Errorf("%s: after row %d: %w", r.tally.path, r.tally.row, err)
			}
		}
		for i := range n {
			if err := r.use(columns[0][i], columns[1][i], columns[2][i], columns[3][i]); err != nil {
				return err
			}
		}
		count(n)
		left -= int64(n)
	}
	return nil
}

// readFull fills values.
func readFull(reader parquet.ValueReader, values []parquet.Value) error {
	for len(values) > 0 {
		n, err := reader.ReadValues(values)
		values = values[n:]
		if len(values) > 0 && (err != nil || n == 0) {
			if err == nil || errors.Is(err, io.EOF) {
				return errors.New("a column ends before the others")
			}
			return err
		}
	}
	return nil
}

// use hands on one row.
func (r *interactionReader) use(user, item, rating, timestamp parquet.Value) error {
	r.tally.row++
	in, err := r.parse(user, item, rating, timestamp)
	if err == nil {
		err = r.row(in)
	}
	if err == nil {
		return r.tally.use(nil, nil)
	}
	raw := bytes.Join([][]byte{[]byte(user.String()), []byte(item.String()), []byte(rating.String()), []byte(timestamp.String())}, []byte(","))
	return r.tally.use(raw, err)
}

func (r *interactionReader) parse(user, item, rating, timestamp parquet.Value) (in Interaction, err error) {
	if r.scratch[0], err = idOf(r.scratch[0], user, r.signless[0], EmptyUser); err != nil {
		return in, err
	}
	if r.scratch[1], err = idOf(r.scratch[1], item, r.signless[1], EmptyItem); err != nil {
		return in, err
	}
	in = Interaction{User: r.scratch[0], Item: r.scratch[1], Rating: 1, Timestamp: r.tally.row}
	if r.places[2] >= 0 {
		if in.Rating, err = ratingOf(rating); err != nil {
			return in, err
		}
	}
	if r.places[3] >= 0 {
		in.Timestamp, err = timestampOf(timestamp, r.unit)
	}
	return in, err
}
