// Package caption brings pictures and the captioner together: pictures and a captioner's ONNX file flow in, captions.parquet
// flows out. Pictures are read, decoded and prepared on other cores while the model is at work on those before. The same
// picture, by the SHA-256 of its file, is captioned once.
//
// A run that was killed goes on behind its last finished batch, and what comes out is the same to the byte: the batches are
// those of a run that was not.
package caption

import (
	"context"
	"errors"
	"fmt"
	"os"

	"mllm4rec/data/table"
	"mllm4rec/internal/atomicfile"
	"mllm4rec/internal/fail"
	"mllm4rec/internal/progress"
)

// Options say which pictures are captioned, and by what.
type Options struct {
	// Images is the folder with the pictures, Out the table to write. Beside it, while a run is under way, lies Out + PartsEnding.
	Images, Out string
	Model       ModelOptions
	// Each hears every row, in the order of the table, as soon as it is safe. nil hears nothing; an error ends the run.
	Each func(Row) error

	earlier   bool // captions that Out has already are kept: it is a table of items
	described bool // others have a caption: pictures none of which can be read are no error
}

// Row is a row of the table: the caption of one file. The rows are in the order of the files' names.
type Row struct {
	// Image is the file's name in the folder, with slashes.
	Image string `parquet:"image" json:"image"`
	// Caption is empty where there is none; Reason says why.
	Caption     string `parquet:"caption" json:"caption"`
	ImageSHA256 string `parquet:"image_sha256" json:"image_sha256"` // of the file, in hex; empty where it cannot be read
	Model       string `parquet:"model" json:"model"`               // the captioner's fingerprint
	Reason      string `parquet:"reason,optional" json:"reason,omitempty"`
}

// Stats is what a run did.
type Stats struct {
	Out string
	// Pictures are the rows, Captioned those with a caption, Resumed those that an earlier run had done. Asked are the
	// different pictures that this run asked the model about.
	Pictures, Captioned, Resumed, Asked int64
	// Batch is how many pictures the model got at once, Provider what it ran on.
	Batch    int
	Provider string
	// Kept are the rows of pictures that Out had a caption of before, and Foreign is what came in another tool's table: RunItems has
	// them.
	Kept    int64
	Foreign Foreign
	// Reason names the first picture without a caption, and why it has none.
	Reason string

	silent int64 // pictures that the model says nothing of
}

// Text is the same for people.
func (s Stats) Text() string {
	text := fmt.Sprintf("%s: %d pictures captioned on %s, %d at once", s.Out, s.Captioned, s.Provider, s.Batch)
	if s.Resumed > 0 {
		text += fmt.Sprintf("; %d of %d were done by an earlier run", s.Resumed, s.Pictures)
	}
	if without := s.Pictures - s.Captioned; without > 0 {
		text += fmt.Sprintf("; %d without a caption, and the column reason says why", without)
	}
	return text + "\n"
}

func (s *Stats) count(row Row) {
	s.Pictures++
	if row.Caption != "" {
		s.Captioned++
	} else if s.Reason == "" {
		s.Reason = fmt.Sprintf("%s: %s", row.Image, row.Reason)
	}
	if row.Reason == saysNothing {
		s.silent++
	}
}

// check makes an error of a run that brought nothing.
func (s *Stats) check() error {
	if s.Captioned > 0 {
		return nil
	}
	return fmt.Errorf("not one of %d pictures got a caption; %s", s.Pictures, s.Reason)
}

// Run captions the pictures of a folder and writes the table. A picture that cannot be read is a row with a reason; that not
// one has a caption is an error. When ctx ends, Run stops within a batch and keeps the finished ones.
func Run(ctx context.Context, o Options, p *progress.Printer) (Stats, error) {
	files, err := listFolder(o.Images)
	if err != nil {
		return Stats{}, err
	}
	return run(ctx, o, files, func(kept *parts) error { return join(kept, o.Out) }, p)
}

// run captions files and lets write make the table of what is finished.
func run(ctx context.Context, o Options, files []file, write func(*parts) error, p *progress.Printer) (stats Stats, err error) {
	if info, err := os.Stat(o.Out); err == nil && !info.Mode().IsRegular() {
		return Stats{}, fail.Usagef("%s is no file that can be written anew; name another", o.Out)
	} else if model, missing := os.Stat(o.Model.File); err == nil && missing == nil && os.SameFile(info, model) {
		return Stats{}, fail.Usagef("%s is the captioner itself; name another file for the captions", o.Out)
	}
	m, err := openModel(o.Model)
	if err != nil {
		return Stats{}, err
	}
	defer func() { err = errors.Join(err, m.close()) }()
	kept, err := openParts(o.Out+PartsEnding, m.plan(files))
	if err != nil {
		return Stats{}, err
	}
	defer func() { err = errors.Join(err, kept.close()) }()
	if err := atomicfile.SweepFile(o.Out); err != nil {
		return Stats{}, err
	}
	stats = Stats{Out: o.Out, Batch: m.Batch, Provider: m.captioner.Provider()}
	w := &work{model: m, parts: kept, stats: &stats, each: o.Each, known: newMemory()}
	if o.earlier {
		w.earlier = earlierCaptions(o.Out, m)
	}
	if err := w.do(ctx, files, p); err != nil {
		return stats, err
	}
	if err := write(kept); err != nil {
		return stats, err
	}
	if err := kept.remove(); err != nil {
		return stats, err
	}
	if o.described && stats.silent == 0 {
		return stats, nil
	}
	return stats, stats.check()
}

// join makes one table of the rows of all parts.
func join(kept *parts, path string) error {
	out, err := table.Create[Row](path)
	if err != nil {
		return err
	}
	defer out.Abort()
	for part := range kept.count {
		rows, err := kept.read(part)
		if err != nil {
			return err
		}
		if err := out.Write(rows...); err != nil {
			return err
		}
	}
	return out.Commit()
}
