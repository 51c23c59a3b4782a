package prompt

import (
	"fmt"
	"slices"

	"mllm4rec/data/table"
	"mllm4rec/internal/fail"
)

// ReadItems makes the texts of all items, by item_id (0 is unused), of the table items and, unless captions is "", of the
// table captions, which with captionsOnly stand in the place of titles where there are any. It is a usage error if not even
// the longest candidates could stand in one prompt: better now than after an hour.
func (b *Builder) ReadItems(items, captions string, captionsOnly bool) ([]Text, error) {
	described, err := b.readCaptions(captions)
	if err != nil {
		return nil, err
	}
	texts := []Text{{}}
	err = table.Each(items, func(row table.Item) error {
		if int(row.ItemID) != len(texts) {
			return fail.Usagef("%s: row %d has item_id %d; items are numbered from 1, in order", items, len(texts), row.ItemID)
		}
		title, caption := row.Title, described[row.ItemID]
		if captionsOnly && caption != "" {
			title = ""
		}
		texts = append(texts, b.Item(title, caption))
		delete(described, row.ItemID)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for id := range described {
		return nil, fail.Usagef("%s describes item %d, and %s has items 1…%d: the tables are of different runs", captions, id, items, len(texts)-1)
	}
	return texts, b.checkRoom(texts)
}

// readCaptions reads a table of captions; of two for one item the later one counts.
func (b *Builder) readCaptions(path string) (map[int32]string, error) {
	captions := map[int32]string{}
	if path == "" {
		return captions, nil
	}
	return captions, table.Each(path, func(row table.Caption) error {
		captions[row.ItemID] = row.Caption
		return nil
	})
}

// checkRoom makes sure that the longest items fit into one prompt as candidates, with the longest one as the history.
func (b *Builder) checkRoom(texts []Text) error {
	longest := slices.SortedFunc(slices.Values(texts[1:]), func(a, b Text) int { return len(b.tokens) - len(a.tokens) })
	if len(longest) == 0 {
		return nil
	}
	if _, err := b.Build(longest[:1], longest[:min(len(b.letters), len(longest))]); err != nil {
		return fmt.Errorf("the longest items in one prompt: %w", err)
	}
	return nil
}
