package source

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"

	"mllm4rec/data/table"
	"mllm4rec/internal/fail"
)

// Items implements Source.
func (p parquetSource) Items(ctx context.Context, log Log, row func(Item) error) error {
	t := &tally{path: p.items, hint: parquetHint, log: log}
	return readGroups(ctx, t, &itemReader{columns: p.o.ItemColumns, clean: p.o.CleanTitles, row: row, tally: t})
}

// itemReader reads whole rows, whose categories may be a list.
type itemReader struct {
	columns    ItemColumns
	clean      string
	row        func(Item) error
	tally      *tally
	id         int
	signless   bool // the id
	texts      map[int][]func(item *Item, text string)
	categories int  // leaf of the categories, -1 for none
	list       bool // the categories are a list, not text to split
	flags      map[int]string
	scratch    []byte
}

func (r *itemReader) find(schema *parquet.Schema) (err error) {
	var id parquet.Node
	if r.id, id, err = leafColumn(schema, r.columns.ID); err != nil {
		return err
	}
	r.signless = table.Signless(id)
	r.texts = map[int][]func(*Item, string){}
	for _, text := range []struct {
		name string
		set  func(*Item, string)
	}{
		{r.columns.Title, func(item *Item, text string) { item.Title = text }},
		{r.columns.ImageURL, func(item *Item, text string) { item.ImageURL = text }},
		{r.columns.ImagePath, func(item *Item, text string) { item.ImagePath = text }},
	} {
		place, _, err := leafColumn(schema, text.name)
		if err != nil {
			return err
		}
		r.texts[place] = append(r.texts[place], text.set) // at -1, where no value is, those without a column
	}
	r.flags = map[int]string{}
	for _, name := range r.columns.CategoryFlags {
		place, _, err := leafColumn(schema, name)
		if err != nil {
			return err
		}
		r.flags[place] = name
	}
	return r.findCategories(schema)
}

// findCategories accepts a text column or a list of text.
func (r *itemReader) findCategories(schema *parquet.Schema) (err error) {
	r.categories = -1
	if r.columns.Categories == "" {
		return nil
	}
	for i, path := range schema.Columns() {
		if path[0] == r.columns.Categories {
			if r.categories >= 0 {
				return fail.Usagef("column %q holds structs, wanted text or a list of text", path[0])
			}
			r.categories, r.list = i, len(path) > 1
		}
	}
	if r.categories < 0 {
		_, _, err = leafColumn(schema, r.columns.Categories)
	}
	return err
}

// group reads the rows of one row group.
func (r *itemReader) group(ctx context.Context, group parquet.RowGroup, count func(n int)) (err error) {
	rows := group.Rows()
	defer func() { err = errors.Join(err, rows.Close()) }()
	buffer := make([]parquet.Row, 64)
	for {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		n, err := rows.ReadRows(buffer)
		for _, values := range buffer[:n] {
			r.tally.row++
			item, bad := r.parse(values)
			if bad == nil {
				bad = emitItem(item, r.clean, r.row)
			}
			if err := r.tally.use(item.ID, bad); err != nil {
				return err
			}
		}
		count(n)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("%s: after row %d: %w", r.tally.path, r.tally.row, err)
		case n == 0:
			return fmt.Errorf("%s: after row %d: no more rows", r.tally.path, r.tally.row)
		}
	}
}

func (r *itemReader) parse(values parquet.Row) (item Item, err error) {
	err = EmptyItem
	for _, v := range values {
		place := v.Column()
		switch {
		case place == r.id:
			r.scratch, err = idOf(r.scratch, v, r.signless, EmptyItem)
			item.ID = r.scratch
		case v.IsNull():
		case place == r.categories && r.list:
			item.Categories = append(item.Categories, v.String())
		case place == r.categories:
			item.Categories = append(item.Categories, r.columns.split(v.String())...)
		}
		if v.IsNull() {
			continue
		}
		for _, set := range r.texts[place] {
			set(&item, v.String())
		}
		if name, ok := r.flags[place]; ok {
			on, bad := flag(v.String())
			if bad != nil {
				return item, bad
			}
			if on {
				item.Categories = append(item.Categories, name)
			}
		}
	}
	return item, err
}
