package source

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"mllm4rec/internal/fail"
)

// csvSource reads anyone's own CSV files by a column map.
type csvSource struct {
	pair
	o         Options
	delimiter byte
	unit      timeUnit
}

const csvHint = "Check data.delimiter, data.columns and data.timestamp_unit."

func openCSV(o Options) (Source, error) {
	if err := checkColumns(o); err != nil {
		return nil, err
	}
	c := csvSource{pair: o.named(), o: o, delimiter: ',', unit: timeUnits[o.Columns.TimestampUnit]}
	switch {
	case o.Delimiter == `\t`:
		c.delimiter = '\t'
	case len(o.Delimiter) > 1 || o.Delimiter == `"` || o.Delimiter == "\n":
		return nil, fail.Usagef("source: data.delimiter is %q: give one ASCII character, no quote, or \\t for a tab", o.Delimiter)
	case o.Delimiter != "":
		c.delimiter = o.Delimiter[0]
	}
	return c, c.check()
}

// checkColumns checks what csv and parquet ask of the column map.
func checkColumns(o Options) error {
	_, known := timeUnits[o.Columns.TimestampUnit]
	switch {
	case o.Interactions == "":
		return fail.Usagef("source: %s needs data.interactions: the file with one interaction a row", o.Kind)
	case o.Columns.User == "" || o.Columns.Item == "":
		return fail.Usagef("source: %s needs data.columns.user and data.columns.item", o.Kind)
	case !known:
		return fail.Usagef("source: data.timestamp_unit is %q: s, ms, us or ns", o.Columns.TimestampUnit)
	case o.Items != "" && o.ItemColumns.ID == "":
		return fail.Usagef("source: data.items needs data.columns.item_id")
	}
	return nil
}

// columnIndex finds named columns in a line of names, or by number where there is none.
type columnIndex struct {
	names    []string // nil without a header
	noHeader bool
}

// of returns the place of a column, -1 for an empty name.
func (c columnIndex) of(name string) (int, error) {
	if name == "" {
		return -1, nil
	}
	if c.noHeader {
		n, err := strconv.Atoi(name)
		if err != nil || n < 1 || n > 10_000 {
			return 0, fail.Usagef("column %q: a file without header has columns 1, 2, 3, …", name)
		}
		return n - 1, nil
	}
	for i, found := range c.names {
		if strings.TrimSpace(found) == name {
			return i, nil
		}
	}
	return 0, fail.Usagef("no column %q; the file has: %s", name, shown(c.names))
}

// shown is what people see of a file's column names: of one that is no table, these may be megabytes and commands to a terminal.
func shown(names []string) string {
	quoted := fmt.Sprintf("%.500q", strings.Join(names, ", "))
	return quoted[1 : len(quoted)-1]
}

// all finds several columns.
func (c columnIndex) all(names ...string) (places []int, err error) {
	for _, name := range names {
		i, err := c.of(name)
		if err != nil {
			return nil, err
		}
		places = append(places, i)
	}
	return places, nil
}

// csvReader reads one CSV file whose columns are found when its first line is known.
type csvReader struct {
	splitter
	file    textFile
	names   []string // wanted columns
	places  []int    // where they are, -1 for those not wanted
	columns int      // of the file
}

// rows calls parse with the wanted columns of every row, in the order of names; nil for unnamed ones.
func (r *csvReader) rows(ctx context.Context, log Log, noHeader bool, parse func(fields [][]byte) error) (err error) {
	if noHeader {
		if r.places, err = (columnIndex{noHeader: true}).all(r.names...); err != nil {
			return err
		}
	} else {
		r.file.header = r.readHeader
	}
	wanted := make([][]byte, len(r.names))
	return r.file.each(ctx, log, func(line []byte) error {
		fields, ok := r.csv(line)
		if !ok {
			return OpenQuote
		}
		if r.columns == 0 {
			r.columns = len(fields) // without a header the first row says how many
		}
		if len(fields) != r.columns {
			return WrongColumns
		}
		for i, place := range r.places {
			switch {
			case place >= len(fields):
				return WrongColumns
			case place >= 0:
				wanted[i] = fields[place]
			}
		}
		return parse(wanted)
	})
}

func (r *csvReader) readHeader(line []byte) (err error) {
	if bytes.IndexByte(line, 0) >= 0 { // UTF-16, Parquet, a spreadsheet
		return fail.Usagef("it begins with %q: no CSV, or not in UTF-8", cut(line))
	}
	fields, ok := r.csv(line)
	if !ok {
		return OpenQuote
	}
	index := columnIndex{}
	for _, f := range fields {
		index.names = append(index.names, string(f))
	}
	r.columns = len(fields)
	r.places, err = index.all(r.names...)
	return err
}

func (c csvSource) reader(path string, names ...string) *csvReader {
	return &csvReader{splitter: splitter{delimiter: c.delimiter},
		file: textFile{path: path, hint: csvHint, quote: true, delimiter: c.delimiter}, names: names}
}

// Interactions implements Source.
func (c csvSource) Interactions(ctx context.Context, log Log, row func(Interaction) error) error {
	cols := c.o.Columns
	r := c.reader(c.interactions, cols.User, cols.Item, cols.Rating, cols.Timestamp)
	one, number, order := []byte("1"), int64(0), []byte(nil)
	return r.rows(ctx, log, c.o.NoHeader, func(f [][]byte) error {
		rating, timestamp, unit := f[2], f[3], c.unit
		if cols.Rating == "" {
			rating = one
		}
		if cols.Timestamp == "" {
			number++
			order = strconv.AppendInt(order[:0], number, 10)
			timestamp, unit = order, timeUnits["ms"]
		}
		return emit(f[0], f[1], rating, timestamp, unit, row)
	})
}

// Items implements Source.
func (c csvSource) Items(ctx context.Context, log Log, row func(Item) error) error {
	cols := c.o.ItemColumns
	names := append([]string{cols.ID, cols.Title, cols.ImageURL, cols.ImagePath, cols.Categories}, cols.CategoryFlags...)
	return c.reader(c.items, names...).rows(ctx, log, c.o.NoHeader, func(f [][]byte) error {
		if err := checkID(f[0], EmptyItem); err != nil {
			return err
		}
		item := Item{ID: f[0], Title: string(f[1]), ImageURL: string(f[2]), ImagePath: string(f[3])}
		item.Categories = cols.split(string(f[4]))
		for i, name := range cols.CategoryFlags {
			on, err := flag(string(f[5+i]))
			if err != nil {
				return err
			}
			if on {
				item.Categories = append(item.Categories, name)
			}
		}
		return emitItem(item, c.o.CleanTitles, row)
	})
}

// split splits a field of categories.
func (c ItemColumns) split(field string) (categories []string) {
	separator := c.Separator
	if separator == "" {
		separator = "|"
	}
	for part := range strings.SplitSeq(field, separator) {
		if part = strings.TrimSpace(part); part != "" {
			categories = append(categories, part)
		}
	}
	return categories
}

func flag(text string) (bool, error) {
	switch text {
	case "1", "true", "True":
		return true, nil
	case "0", "false", "False", "":
		return false, nil
	}
	return false, BadFlag
}

// emitItem checks the texts of an item and hands it on.
func emitItem(item Item, cleanTitles string, row func(Item) error) error {
	for _, text := range append([]string{item.Title, item.ImageURL, item.ImagePath}, item.Categories...) {
		if !utf8.ValidString(text) {
			return InvalidUTF8
		}
	}
	item.Title = strings.TrimSpace(item.Title)
	if cleanTitles == "movielens" {
		item.Title = CleanMovieTitle(item.Title)
	}
	return row(item)
}
