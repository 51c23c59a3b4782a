package caption

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"mllm4rec/data/source"
	"mllm4rec/data/table"
	"mllm4rec/internal/fail"
	"mllm4rec/internal/progress"
)

// ForeignModel stands in the column model for captions that came in a table.
const ForeignModel = "table"

// Foreign is what became of a table of captions that another tool made.
type Foreign struct {
	// Rows are those of the table, Used those whose caption is an item's.
	Rows, Used int64
	// Unused counts the others by reason.
	Unused []Unused
}

// Unused is why rows of a table gave no caption.
type Unused struct {
	Reason string
	Rows   int64
	// First are the first few, by their ids or places.
	First []string
}

// unusedShown is how many of a reason are named.
const unusedShown = 3

func (f *Foreign) pass(reason, which string) {
	for i := range f.Unused {
		if u := &f.Unused[i]; u.Reason == reason {
			if u.Rows++; len(u.First) < unusedShown {
				u.First = append(u.First, which)
			}
			return
		}
	}
	f.Unused = append(f.Unused, Unused{reason, 1, []string{which}})
}

// CheckTable makes sure that a file is a table of captions: a column caption, and source_id, as in the raw data, or item_id, as in
// this run's items.parquet; source_id counts where there are both.
func CheckTable(path string) error {
	_, err := captionedBy(path)
	return err
}

// captionedBy is the column that names the items of a table of captions.
func captionedBy(path string) (string, error) {
	column, err := foreignTable(path).Check()
	const wanted = "name a Parquet file with the columns caption and source_id or item_id"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = fail.Usagef("captioner.table: %s: no such file; %s", path, wanted)
	case err != nil:
		err = fail.Usagef("captioner.table: %w; %s", err, wanted)
	}
	return column, err
}

func foreignTable(path string) source.TextTable {
	return source.TextTable{Path: path, IDs: []string{"source_id", "item_id"}, Text: "caption"}
}

// readForeign reads the captions of this run's items. Of two for one item the later one counts.
func readForeign(ctx context.Context, path string, items []table.Item, p *progress.Printer) (map[int32]string, Foreign, error) {
	var f Foreign
	column, err := captionedBy(path)
	if err != nil {
		return nil, f, err
	}
	known := map[string]int32{}
	for _, item := range items {
		if column == "item_id" {
			known[strconv.Itoa(int(item.ItemID))] = item.ItemID
		} else {
			known[item.SourceID] = item.ItemID
		}
	}
	captions := map[int32]string{}
	log := source.Log{Progress: p, Reject: func(r source.Reject) {
		f.Rows++
		f.pass(string(r.Reason), fmt.Sprintf("row %d", r.Row))
	}}
	err = foreignTable(path).Rows(ctx, log, func(id []byte, caption string) error {
		f.Rows++
		item, ok := known[string(id)]
		_, twice := captions[item]
		switch {
		case !ok:
			f.pass("no item of this run", string(id))
			return nil
		case caption == "":
			f.pass("an empty caption", string(id))
			return nil
		case twice:
			f.pass("another row of the item comes later", string(id))
		}
		captions[item] = caption
		return nil
	})
	f.Used = int64(len(captions))
	if err == nil && f.Used == 0 {
		err = fail.Usagef("%s: not one of %d rows is a caption of an item of this run (%d: %s, such as %s): source_id takes ids as in the raw data, item_id those of items.parquet",
			path, f.Rows, f.Unused[0].Rows, f.Unused[0].Reason, f.Unused[0].First[0])
	}
	return captions, f, err
}
