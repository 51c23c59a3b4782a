package source

import (
	"context"
	"errors"
	"slices"

	"github.com/parquet-go/parquet-go"

	"mllm4rec/data/table"
	"mllm4rec/internal/fail"
)

// TextTable is anyone's Parquet table of a text an item, such as captions that another tool made.
type TextTable struct {
	Path string
	// IDs are the columns that may hold the item's id, of which the first that is there is taken; Text is the text's column.
	IDs  []string
	Text string
}

// Check opens the table and looks for its columns, which says early what is wrong. It returns the column of the ids.
func (t TextTable) Check() (id string, err error) {
	file, err := table.OpenFile(t.Path)
	if err != nil {
		return "", fail.Usagef("%w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return id, table.Guard(t.Path, func() error {
		schema := file.Parquet.Schema()
		for _, id = range t.IDs {
			if slices.ContainsFunc(schema.Fields(), func(f parquet.Field) bool { return f.Name() == id }) {
				break
			}
		}
		if _, _, err := leafColumn(schema, id); err != nil {
			return fail.Usagef("%s: %w", t.Path, err)
		}
		_, node, err := leafColumn(schema, t.Text)
		if err == nil && node.Type().Kind() != parquet.ByteArray {
			err = fail.Usagef("column %q holds %s, wanted text", t.Text, node.Type())
		}
		if err != nil {
			return fail.Usagef("%s: %w", t.Path, err)
		}
		return nil
	})
}

// Rows calls row for each row, in the order of the file. The id is valid during the call only; a text that is null is empty.
func (t TextTable) Rows(ctx context.Context, log Log, row func(id []byte, text string) error) error {
	id, err := t.Check()
	if err != nil {
		return err
	}
	counts := &tally{path: t.Path, hint: "Check the columns " + id + " and " + t.Text + ".", log: log}
	return readGroups(ctx, counts, &itemReader{
		columns: ItemColumns{ID: id, Title: t.Text}, tally: counts,
		row: func(item Item) error { return row(item.ID, item.Title) },
	})
}
