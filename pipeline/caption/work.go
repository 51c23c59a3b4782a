package caption

import (
	"context"
	"fmt"
	"slices"

	"mllm4rec/internal/progress"
)

// work is a run's way through the files.
type work struct {
	*model
	parts *parts
	stats *Stats
	each  func(Row) error
	known *memory // captions of finished parts, and earlier ones

	earlier map[string]string // captions of the table that is written anew, by the pictures' SHA-256

	// The part that is being gathered:
	rows   []Row
	fresh  []string  // the pictures that are new in it, by their SHA-256
	pixels []float32 // theirs, [fresh, 3, size, size]
}

// saysNothing is why a picture that can be read has no caption.
const saysNothing = "the model says nothing of it"

// partRows bounds a part where nearly all pictures are known or cannot be read, and its batch never gets full.
const partRows = 4096

// do takes over the finished parts and captions the files behind them.
func (w *work) do(ctx context.Context, files []file, p *progress.Printer) error {
	bar := p.Start("caption", int64(len(files)), "pictures")
	defer bar.Finish()
	if err := w.resume(files); err != nil {
		return err
	}
	for sum, caption := range w.earlier {
		w.known.add(sum, caption)
	}
	bar.Set(w.stats.Pictures, "")
	for s := range shots(w.model, w.known, files[w.stats.Pictures:], w.Batch) {
		if err := ctx.Err(); err != nil {
			return err
		}
		w.gather(s)
		if len(w.fresh) < w.Batch && len(w.rows) < partRows {
			continue
		}
		if err := w.finish(ctx); err != nil {
			return err
		}
		bar.Set(w.stats.Pictures, "")
	}
	return w.finish(ctx)
}

// resume takes over what an earlier run has finished.
func (w *work) resume(files []file) error {
	for i := range w.parts.count {
		rows, err := w.parts.read(i)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if at := w.stats.Pictures; at >= int64(len(files)) || files[at].name != row.Image {
				return fmt.Errorf("%s has rows of other files; remove the folder to begin anew", w.parts.dir)
			}
			if row.Reason == "" || row.Reason == saysNothing {
				w.known.add(row.ImageSHA256, row.Caption)
			}
			if err := w.tell(row); err != nil {
				return err
			}
		}
	}
	w.stats.Resumed = w.stats.Pictures
	return nil
}

// gather adds a picture to the part.
func (w *work) gather(s *shot) {
	if w.earlier[s.sum] != "" {
		w.stats.Kept++
	}
	w.rows = append(w.rows, Row{Image: s.name, ImageSHA256: s.sum, Model: w.fingerprint, Reason: s.reason})
	if _, ok := w.known.find(s.sum); ok || s.reason != "" || slices.Contains(w.fresh, s.sum) {
		return
	}
	w.fresh = append(w.fresh, s.sum)
	w.pixels = append(w.pixels, s.pixels...)
}

// finish captions the part's new pictures, writes its rows and tells of them.
func (w *work) finish(ctx context.Context) error {
	if len(w.rows) == 0 {
		return nil
	}
	captions, err := w.captions(ctx, w.pixels)
	if err != nil {
		return err
	}
	w.stats.Asked += int64(len(captions))
	for i, caption := range captions {
		w.known.add(w.fresh[i], caption)
	}
	for i := range w.rows {
		if row := &w.rows[i]; row.Reason == "" {
			if row.Caption, _ = w.known.find(row.ImageSHA256); row.Caption == "" {
				row.Reason = saysNothing
			}
		}
	}
	if err := w.parts.add(w.rows); err != nil {
		return err
	}
	for _, row := range w.rows {
		if err := w.tell(row); err != nil {
			return err
		}
	}
	w.rows, w.fresh, w.pixels = w.rows[:0], w.fresh[:0], w.pixels[:0]
	return nil
}

// tell counts a row and hands it on.
func (w *work) tell(row Row) error {
	w.stats.count(row)
	if w.each == nil {
		return nil
	}
	return w.each(row)
}
