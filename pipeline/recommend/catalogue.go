package recommend

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"mllm4rec/data/table"
	"mllm4rec/internal/fail"
	"mllm4rec/pipeline/caption"
	"mllm4rec/pipeline/images"
	"mllm4rec/runtime/serve"
)

// catalogue is what the tables say of items; those of a slice are by item_id, with 0 unused.
type catalogue struct {
	titles, sources []string
	categoriesOf    [][]int32 // places in categories
	categories      []string
	places          map[string]int32 // of the categories
	bySource        map[string]int32
	captions        map[int32]string
	pictures        map[int32]string // paths inside the folder images
	counts          []int64          // interactions of the training part
	popular         []int32          // all items, those with the most interactions first
}

func readCatalogue(o Options) (*catalogue, error) {
	c := &catalogue{
		titles: []string{""}, sources: []string{""}, categoriesOf: [][]int32{nil},
		places: map[string]int32{}, bySource: map[string]int32{}, captions: map[int32]string{}, pictures: map[int32]string{},
	}
	path := filepath.Join(o.Dir, "items.parquet")
	err := table.Each(path, func(row table.Item) error {
		if int(row.ItemID) != len(c.titles) {
			return fail.Usagef("%s: row %d has item_id %d; items are numbered from 1, in order", path, len(c.titles), row.ItemID)
		}
		if other, twice := c.bySource[row.SourceID]; twice {
			return fail.Usagef("%s: items %d and %d have the same source_id %q", path, other, row.ItemID, row.SourceID)
		}
		c.bySource[row.SourceID] = row.ItemID
		c.titles, c.sources = append(c.titles, row.Title), append(c.sources, row.SourceID)
		c.categoriesOf = append(c.categoriesOf, c.placesOf(row.Categories))
		return nil
	})
	if err == nil && c.size() == 0 {
		err = fail.Usagef("%s holds no items", path)
	}
	if err != nil {
		return nil, err
	}
	c.counts = make([]int64, len(c.titles))
	if o.Captions {
		err = c.readCaptions(o.Dir)
	}
	if o.Pictures {
		err = errors.Join(err, c.readPictures(o.Dir))
	}
	return c, err
}

// placesOf finds categories, and enters those that are new.
func (c *catalogue) placesOf(names []string) []int32 {
	var all []int32
	for _, name := range names {
		place, known := c.places[name]
		if !known {
			place = int32(len(c.categories))
			c.places[name] = place
			c.categories = append(c.categories, name)
		}
		all = append(all, place)
	}
	return all
}

// readCaptions reads the table of captions, where there is one; of two for one item the later one counts.
func (c *catalogue) readCaptions(dir string) error {
	path := filepath.Join(dir, caption.TableFile)
	return eachIfThere(path, func(row table.Caption) error {
		if err := c.check(path, row.ItemID); err != nil {
			return err
		}
		c.captions[row.ItemID] = row.Caption
		return nil
	})
}

// readPictures reads the table of pictures, where there is one.
func (c *catalogue) readPictures(dir string) error {
	path := filepath.Join(dir, images.TableFile)
	return eachIfThere(path, func(row table.Image) error {
		if row.Status != images.OK {
			return nil
		}
		name, inside := strings.CutPrefix(row.Path, images.Folder+"/")
		if !inside || !filepath.IsLocal(filepath.FromSlash(name)) {
			return fail.Usagef("%s: the picture of item %d is %q, want a file in the folder %s", path, row.ItemID, row.Path, images.Folder)
		}
		c.pictures[row.ItemID] = name
		return c.check(path, row.ItemID)
	})
}

func (c *catalogue) check(path string, item int32) error {
	if item < 1 || int(item) > c.size() {
		return fail.Usagef("%s has item %d, and the run has items 1…%d: the tables are of different runs", path, item, c.size())
	}
	return nil
}

// rankByPopularity sorts the items by counts; equals by item_id.
func (c *catalogue) rankByPopularity() {
	c.popular = make([]int32, c.size())
	for i := range c.popular {
		c.popular[i] = int32(i + 1)
	}
	slices.SortStableFunc(c.popular, func(a, b int32) int { return cmp.Compare(c.counts[b], c.counts[a]) })
}

func (c *catalogue) size() int { return len(c.titles) - 1 }

// find is the item that a reference names, 0 where there is none.
func (c *catalogue) find(r serve.Ref) int32 {
	if r.ID == 0 {
		return c.bySource[r.Source]
	}
	if r.ID < 1 || int(r.ID) > c.size() {
		return 0
	}
	return r.ID
}

// item is all that is known of one.
func (c *catalogue) item(id int32) serve.Item {
	item := serve.Item{ItemID: id, SourceID: c.sources[id], Title: c.titles[id], Caption: c.captions[id], Popularity: int(c.counts[id])}
	for _, place := range c.categoriesOf[id] {
		item.Categories = append(item.Categories, c.categories[place])
	}
	_, item.HasPicture = c.pictures[id]
	return item
}

// eachIfThere streams a table that need not be there.
func eachIfThere[T any](path string, visit func(T) error) error {
	there, err := exists(path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if !there {
		return nil
	}
	return table.Each(path, visit)
}
