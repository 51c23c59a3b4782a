package report

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"

	"mllm4rec/data/table"
	"mllm4rec/pipeline/images"
)

const (
	sheetPictures = 24 // on the contact sheet
	sheetProblems = 12 // listed below it
)

// picturesSection is the contact sheet: some items with picture, caption and title, and those that have none, with why. Text is
// empty where the run has neither pictures nor captions.
type picturesSection struct {
	Text    string
	Facts   []fact
	Shown   []pictured
	Without []pictured
	More    int // problems that are not listed
}

// pictured is an item with what is known of its picture. Without Data, Reason says why.
type pictured struct {
	thumbnail
	item                   int32
	path                   string
	Title, Caption, Reason string
}

// sheet gathers the section in one pass over each table.
type sheet struct {
	random   *rand.Rand
	seen     int // that could stand on it
	shown    []pictured
	statuses map[string]int
	problems []pictured
	more     int
	captions int
}

// loadPictures draws items by the seed: of those with a caption, or where there are no captions, of those with a picture.
func loadPictures(ctx context.Context, dir string, o Options) (picturesSection, error) {
	if !o.Pictures && !o.Captions {
		return picturesSection{}, nil
	}
	s := &sheet{random: rand.New(rand.NewPCG(uint64(o.Seed), 1)), statuses: map[string]int{}}
	if o.Captions {
		if err := eachRow(ctx, filepath.Join(dir, captionsFile), s.caption); err != nil {
			return picturesSection{}, err
		}
	}
	if o.Pictures {
		add := func(row table.Image) { s.image(row, !o.Captions) }
		if err := eachRow(ctx, filepath.Join(dir, imagesFile), add); err != nil {
			return picturesSection{}, err
		}
	}
	if err := s.titles(ctx, dir); err != nil {
		return picturesSection{}, err
	}
	for i := range s.shown {
		if err := ctx.Err(); err != nil {
			return picturesSection{}, err
		}
		s.shown[i].open(dir)
	}
	return picturesSection{Text: s.text(o), Facts: s.facts(o), Shown: s.shown, Without: s.problems, More: s.more}, nil
}

// caption takes a row of captions.parquet.
func (s *sheet) caption(row table.Caption) {
	if row.Caption == "" {
		s.problem(row.ItemID, cmp.Or(row.Reason, "the captioner says nothing of it"))
		return
	}
	s.captions++
	s.draw(pictured{item: row.ItemID, Caption: shorten(row.Caption)})
}

// image takes a row of images.parquet; draws says that those with a picture may stand on the sheet, whatever is said of them.
func (s *sheet) image(row table.Image, draws bool) {
	s.statuses[row.Status]++
	switch {
	case row.Status != images.OK:
		s.problem(row.ItemID, fmt.Sprintf("%s: %s", row.Status, row.Reason))
	case draws:
		s.draw(pictured{item: row.ItemID, path: row.Path})
	default:
		if i := slices.IndexFunc(s.shown, func(p pictured) bool { return p.item == row.ItemID }); i >= 0 {
			s.shown[i].path = row.Path
		}
	}
}

// draw gives every item the same chance to stand on the sheet (reservoir sampling).
func (s *sheet) draw(p pictured) {
	s.seen++
	if len(s.shown) < sheetPictures {
		s.shown = append(s.shown, p)
	} else if at := s.random.IntN(s.seen); at < sheetPictures {
		s.shown[at] = p
	}
}

func (s *sheet) problem(item int32, reason string) {
	if len(s.problems) == sheetProblems {
		s.more++
		return
	}
	s.problems = append(s.problems, pictured{item: item, Reason: shorten(reason)})
}

// titles puts the items in order and looks up what they are called.
func (s *sheet) titles(ctx context.Context, dir string) error {
	slices.SortFunc(s.shown, func(a, b pictured) int { return cmp.Compare(a.item, b.item) })
	wanted := map[int32]bool{}
	for _, p := range slices.Concat(s.shown, s.problems) {
		wanted[p.item] = true
	}
	titles, err := readTitles(ctx, filepath.Join(dir, itemsFile), wanted)
	for _, list := range [][]pictured{s.shown, s.problems} {
		for i := range list {
			list[i].Title = titles[list[i].item]
		}
	}
	return err
}

func (s *sheet) text(o Options) string {
	if len(s.shown) == 0 {
		return "No item has a picture."
	}
	what := "pictures"
	if o.Captions {
		what = "captions"
	}
	return fmt.Sprintf("%d of %s %s, drawn by the seed.", len(s.shown), comma(s.seen), what)
}

func (s *sheet) facts(o Options) (facts []fact) {
	for _, status := range slices.Sorted(maps.Keys(s.statuses)) {
		facts = append(facts, fact{"Pictures " + status, comma(s.statuses[status])})
	}
	if o.Captions {
		facts = append(facts, fact{"Captions", comma(s.captions)})
	}
	return facts
}
