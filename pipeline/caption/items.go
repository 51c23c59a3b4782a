package caption

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"

	"mllm4rec/data/table"
	"mllm4rec/internal/fail"
	"mllm4rec/internal/progress"
	"mllm4rec/pipeline/images"
	"mllm4rec/runtime/ort/modelfile"
)

// TableFile is what RunItems writes into the run folder.
const TableFile = "captions.parquet"

// ItemOptions say where the captions of a run's items come from: from a table, from the captioner, or from both.
type ItemOptions struct {
	// Dir is the run folder.
	Dir string
	// Table is a Parquet file of captions that another tool made; "" is none. They stand: the captioner captions the rest.
	Table string
	// Model captions the pictures that images.parquet calls ok; without File nothing does.
	Model ModelOptions
}

// RunItems writes captions.parquet: a row for each caption of the table, and one for each picture of the other items; the caption
// of a picture that cannot be read is empty. Captions that an earlier captions.parquet has of the same pictures, by the same
// captioner asked the same, are kept. A captioner without pictures, or that says nothing, and a table that describes no item
// are errors; so are pictures none of which can be read, where no table describes other items.
func RunItems(ctx context.Context, o ItemOptions, p *progress.Printer) (stats Stats, err error) {
	out := filepath.Join(o.Dir, TableFile)
	var rows []table.Caption
	var foreign Foreign
	described := map[int32]string{}
	if o.Table != "" {
		items, err := table.ReadAll[table.Item](filepath.Join(o.Dir, "items.parquet"))
		if err != nil {
			return Stats{}, err
		}
		if described, foreign, err = readForeign(ctx, o.Table, items, p); err != nil {
			return Stats{}, err
		}
		for item, caption := range described {
			rows = append(rows, table.Caption{ItemID: item, Caption: caption, Model: ForeignModel})
		}
	}
	var items []int32
	var files []file
	if o.Model.File != "" {
		if items, files, err = itemFiles(o.Dir, described); err != nil {
			return Stats{}, err
		}
	}
	write := func(made []table.Caption) error {
		rows = append(rows, made...)
		slices.SortFunc(rows, func(a, b table.Caption) int { return cmp.Compare(a.ItemID, b.ItemID) })
		return table.WriteAll(out, rows)
	}
	if len(files) == 0 {
		return Stats{Out: out, Foreign: foreign}, write(nil)
	}
	stats, err = run(ctx, Options{Out: out, Model: o.Model, earlier: true, described: len(described) > 0}, files, func(kept *parts) error {
		made, err := kept.all()
		if err != nil {
			return err
		}
		return write(itemCaptions(items, made, o.Model.settings()))
	}, p)
	stats.Foreign = foreign
	return stats, err
}

// itemCaptions are the rows of the table for those of the model, one an item.
func itemCaptions(items []int32, made []Row, settings string) []table.Caption {
	rows := make([]table.Caption, len(made))
	for i, row := range made {
		rows[i] = table.Caption{
			ItemID: items[i], ImageSHA256: row.ImageSHA256, Caption: row.Caption, Model: row.Model, Settings: settings, Reason: row.Reason,
		}
	}
	return rows
}

// itemFiles are the items that have a picture and no caption yet, and its file. They need no size and time: their names are of
// their contents.
func itemFiles(dir string, described map[int32]string) (items []int32, files []file, err error) {
	path := filepath.Join(dir, images.TableFile)
	rows, err := table.ReadAll[table.Image](path)
	if err != nil {
		return nil, nil, err
	}
	pictures := 0
	for _, row := range rows {
		if row.Status != images.OK {
			continue
		}
		name := filepath.FromSlash(row.Path)
		if !filepath.IsLocal(name) {
			return nil, nil, fail.Usagef("%s: the picture of item %d is %q, want a file in the run folder", path, row.ItemID, row.Path)
		}
		pictures++
		if described[row.ItemID] == "" {
			items, files = append(items, row.ItemID), append(files, file{name: row.Path, path: filepath.Join(dir, name), sum: row.SHA256})
		}
	}
	if pictures == 0 {
		return nil, nil, fail.Usagef("%s: not one item has a picture that could be captioned", path)
	}
	return items, files, nil
}

// earlierCaptions are those of the table at path that the model, asked as it is, made: what it would say again. A table that is
// not there, or cannot be read, has none.
func earlierCaptions(path string, m *model) map[string]string {
	captions := map[string]string{}
	rows, err := table.ReadAll[table.Caption](path)
	if err != nil {
		return captions
	}
	settings := m.settings()
	for _, row := range rows {
		if row.Model == m.fingerprint && row.Settings == settings && row.Caption != "" {
			captions[row.ImageSHA256] = row.Caption
		}
	}
	return captions
}

// Check makes sure that a file is a captioner, without opening it. What is none is a usage error.
func Check(path string) error {
	info, err := modelfile.Check(path)
	if err == nil && info.Kind != "captioner" {
		err = fail.Usagef("%s: this is a %s model, but a captioner is needed here", path, info.Kind)
	}
	return err
}
