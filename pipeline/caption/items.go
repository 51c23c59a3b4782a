package caption

import (
	"context"
	"path/filepath"

	"mllm4rec/data/table"
	"mllm4rec/internal/fail"
	"mllm4rec/internal/progress"
	"mllm4rec/pipeline/images"
	"mllm4rec/runtime/ort/modelfile"
)

// TableFile is what RunItems writes into the run folder.
const TableFile = "captions.parquet"

// RunItems captions the items' pictures: those that images.parquet in the folder dir calls ok. captions.parquet there gets a row
// for each; the caption of a picture that cannot be read is empty. No pictures, and not one caption, are errors.
func RunItems(ctx context.Context, dir string, m ModelOptions, p *progress.Printer) (Stats, error) {
	items, files, err := itemFiles(dir)
	if err != nil {
		return Stats{}, err
	}
	o := Options{Out: filepath.Join(dir, TableFile), Model: m}
	return run(ctx, o, files, func(kept *parts) error {
		return join(kept, o.Out, func(i int, row Row) table.Caption {
			return table.Caption{ItemID: items[i], ImageSHA256: row.ImageSHA256, Caption: row.Caption, Model: row.Model, Reason: row.Reason}
		})
	}, p)
}

// itemFiles are the items that have a picture, and its file. They need no size and time: their names are of their contents.
func itemFiles(dir string) (items []int32, files []file, err error) {
	path := filepath.Join(dir, images.TableFile)
	rows, err := table.ReadAll[table.Image](path)
	if err != nil {
		return nil, nil, err
	}
	for _, row := range rows {
		if row.Status != images.OK {
			continue
		}
		name := filepath.FromSlash(row.Path)
		if !filepath.IsLocal(name) {
			return nil, nil, fail.Usagef("%s: the picture of item %d is %q, want a file in the run folder", path, row.ItemID, row.Path)
		}
		items, files = append(items, row.ItemID), append(files, file{name: row.Path, path: filepath.Join(dir, name)})
	}
	if len(files) == 0 {
		return nil, nil, fail.Usagef("%s: not one item has a picture that could be captioned", path)
	}
	return items, files, nil
}

// Check makes sure that a file is a captioner, without opening it. What is none is a usage error.
func Check(path string) error {
	info, err := modelfile.Check(path)
	if err == nil && info.Kind != "captioner" {
		err = fail.Usagef("%s: this is a %s model, but a captioner is needed here", path, info.Kind)
	}
	return err
}
