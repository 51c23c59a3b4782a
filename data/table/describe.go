package table

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// Description is what Describe tells of a Parquet file.
type Description struct {
	File      string           `json:"file"`
	Rows      int64            `json:"rows"`
	RowGroups int              `json:"row_groups"`
	Columns   []Column         `json:"columns"`
	First     []map[string]any `json:"first"`
}

// Column is a column of a Parquet file: Type is int32, string, timestamp(isadjustedtoutc=true,unit=millis), list<int32>, ….
type Column struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Nullable bool   `json:"nullable"`
}

// Describe writes the schema, the row count and the first rows of any Parquet file, as text for people or as one JSON
// object.
func Describe(w io.Writer, path string, rows int, asJSON bool) error {
	d, err := describe(path, rows)
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(w).Encode(d)
	}
	return d.print(w)
}

func describe(path string, rows int) (d Description, err error) {
	f, err := OpenFile(path)
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	d = Description{File: filepath.Base(path), First: []map[string]any{}}
	return d, guard(d.File, func() error {
		schema := f.Parquet.Schema()
		d.Rows, d.RowGroups = f.Parquet.NumRows(), len(f.Parquet.RowGroups())
		for _, field := range schema.Fields() {
			d.Columns = append(d.Columns, Column{Name: field.Name(), Type: typeName(field), Nullable: field.Optional()})
		}
		return d.readFirst(f, rows)
	})
}

// readFirst reads up to count rows into d.First.
func (d *Description) readFirst(f *File, count int) error {
	leaves, paths := map[int]parquet.Node{}, f.Parquet.Schema().Columns()
	for i, path := range paths {
		leaf, _ := f.Parquet.Schema().Lookup(path...)
		leaves[i] = leaf.Node
	}
	buffer := make([]parquet.Row, 1)
	for group, err := range f.Groups() {
		if err != nil || len(d.First) == count {
			return err
		}
		rows := group.Rows()
		for len(d.First) < count {
			n, err := rows.ReadRows(buffer)
			if n > 0 {
				d.First = append(d.First, rowValues(buffer[0], paths, leaves))
			}
			if n == 0 || err != nil {
				if err != nil && !errors.Is(err, io.EOF) {
					return errors.Join(fmt.Errorf("%s: row %d: %w", d.File, len(d.First)+1, err), rows.Close())
				}
				break
			}
		}
		if err := rows.Close(); err != nil {
			return err
		}
	}
	return nil
}

// rowValues turns the flat values of a row into one entry for each top-level column; lists and structs become slices of
// their leaf values.
func rowValues(row parquet.Row, paths [][]string, leaves map[int]parquet.Node) map[string]any {
	out := map[string]any{}
	for _, v := range row {
		path := paths[v.Column()]
		name := path[0]
		switch value := goValue(v, leaves[v.Column()]); {
		case len(path) == 1:
			out[name] = value
		case out[name] == nil && v.IsNull():
			out[name] = nil
		default:
			list, _ := out[name].([]any)
			out[name] = append(list, value)
		}
	}
	return out
}

func goValue(v parquet.Value, leaf parquet.Node) any {
	if v.IsNull() {
		return nil
	}
	switch v.Kind() {
	case parquet.Boolean:
		return v.Boolean()
	case parquet.Int32:
		if Signless(leaf) {
			return v.Uint32()
		}
		return v.Int32()
	case parquet.Int64:
		if Signless(leaf) {
			return v.Uint64()
		}
		if t, ok := timestampOf(leaf, v.Int64()); ok {
			return t.Format(time.RFC3339Nano)
		}
		return v.Int64()
	case parquet.Float:
		return finite(float64(v.Float()), 32)
	case parquet.Double:
		return finite(v.Double(), 64)
	case parquet.ByteArray, parquet.FixedLenByteArray:
		return strings.ToValidUTF8(string(v.ByteArray()), "\uFFFD")
	default:
		return v.String()
	}
}

// finite keeps numbers that JSON has; NaN and infinities become words. bits is the float's own width.
func finite(x float64, bits int) any {
	text := strconv.FormatFloat(x, 'g', -1, bits)
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return text
	}
	return json.Number(text)
}

// Signless reports whether a column holds whole numbers without a sign. Parquet stores them as if they had one.
func Signless(leaf parquet.Node) bool {
	logical := leaf.Type().LogicalType()
	if logical == nil {
		return false
	}
	whole, ok := logical.Value.(*format.IntType)
	return ok && !whole.IsSigned
}

// TimestampUnit is the unit of a TIMESTAMP column: ms, us or ns. ok is false for other columns.
func TimestampUnit(leaf parquet.Node) (unit string, ok bool) {
	logical := leaf.Type().LogicalType()
	if logical == nil {
		return "", false
	}
	ts, ok := logical.Value.(*format.TimestampType)
	if !ok {
		return "", false
	}
	switch ts.Unit.Value.(type) {
	case *format.MilliSeconds:
		return "ms", true
	case *format.MicroSeconds:
		return "us", true
	}
	return "ns", true
}

func timestampOf(leaf parquet.Node, value int64) (time.Time, bool) {
	unit, ok := TimestampUnit(leaf)
	switch unit {
	case "ms":
		return time.UnixMilli(value).UTC(), ok
	case "us":
		return time.UnixMicro(value).UTC(), ok
	}
	return time.Unix(0, value).UTC(), ok
}

func (d Description) print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d rows, %d row groups\n", d.File, d.Rows, d.RowGroups)
	for _, c := range d.Columns {
		null := ""
		if c.Nullable {
			null = "?"
		}
		fmt.Fprintf(&b, "  %-16s %s%s\n", c.Name, c.Type, null)
	}
	for i, row := range d.First {
		fmt.Fprintf(&b, "row %d\n", i+1)
		for _, c := range d.Columns {
			fmt.Fprintf(&b, "  %-16s %s\n", c.Name, cell(row[c.Name]))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// cell is a value on one line, long lists and texts cut.
func cell(v any) string {
	const most = 20
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		if r := []rune(v); len(r) > 100 {
			return strconv.Quote(string(r[:100])) + fmt.Sprintf("… (%d characters)", len(r))
		}
		return strconv.Quote(v)
	case []any:
		parts := []string{}
		for _, e := range v[:min(len(v), most)] {
			parts = append(parts, cell(e))
		}
		if len(v) > most {
			parts = append(parts, fmt.Sprintf("… (%d)", len(v)))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	default:
		return fmt.Sprint(v)
	}
}
