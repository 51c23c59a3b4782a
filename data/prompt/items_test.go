package prompt

import (
	"path/filepath"
	"testing"

	"mllm4rec/data/table"
	"mllm4rec/internal/fail"
)

// tables writes items.parquet and captions.parquet.
func tables(t *testing.T, items []table.Item, captions []table.Caption) (itemsPath, captionsPath string) {
	t.Helper()
	dir := t.TempDir()
	itemsPath, captionsPath = filepath.Join(dir, "items.parquet"), filepath.Join(dir, "captions.parquet")
	if err := table.WriteAll(itemsPath, items); err != nil {
		t.Fatal(err)
	}
	if err := table.WriteAll(captionsPath, captions); err != nil {
		t.Fatal(err)
	}
	return itemsPath, captionsPath
}

func TestReadItemsJoinsTitlesAndCaptions(t *testing.T) {
	t.Parallel()
	items, captions := tables(t,
		[]table.Item{{ItemID: 1, Title: "Soap"}, {ItemID: 2, Title: "Cream"}, {ItemID: 3, SourceID: "B3"}},
		[]table.Caption{{ItemID: 3, Caption: "a jar"}, {ItemID: 1, Caption: "old"}, {ItemID: 1, Caption: "a bar"}})
	tok := tiny(t, nil, false, "")
	b := builder(t, tok, short, wide, 2)
	for path, want := range map[string][]string{captions: {"", " Soap : a bar", " Cream", " a jar"}, "": {"", " Soap", " Cream", " untitled"}} {
		texts, err := b.ReadItems(items, path, false)
		if err != nil {
			t.Fatal(err)
		}
		if len(texts) != len(want) {
			t.Fatalf("%d texts, want %d", len(texts), len(want))
		}
		for i, text := range texts {
			if got := tok.Decode(text.tokens); got != want[i] {
				t.Errorf("item %d: %q, want %q", i, got, want[i])
			}
		}
	}
}

func TestCaptionsStandForTitlesWhereThereAreAny(t *testing.T) {
	t.Parallel()
	items, captions := tables(t, []table.Item{{ItemID: 1, Title: "Soap"}, {ItemID: 2, Title: "Cream"}, {ItemID: 3, Title: "Brush"}},
		[]table.Caption{{ItemID: 1, Caption: "a bar"}, {ItemID: 3}})
	tok := tiny(t, nil, false, "")
	texts, err := builder(t, tok, short, wide, 2).ReadItems(items, captions, true)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"", " a bar", " Cream", " Brush"} {
		if got := tok.Decode(texts[i].tokens); got != want {
			t.Errorf("item %d: %q, want %q", i, got, want)
		}
	}
}

func TestReadItemsRefuses(t *testing.T) {
	t.Parallel()
	one, two := table.Item{ItemID: 1, Title: "x"}, table.Item{ItemID: 2, Title: "a title of some length"}
	for name, c := range map[string]struct {
		items    []table.Item
		captions []table.Caption
		want     string
	}{
		"items that do not begin with 1": {[]table.Item{two}, nil, "row 1 has item_id 2"},
		"an item twice":                  {[]table.Item{one, one}, nil, "row 2 has item_id 1"},
		"captions of another catalogue":  {[]table.Item{one}, []table.Caption{{ItemID: 7, Caption: "x"}}, "describes item 7"},
		"items too long for one prompt":  {[]table.Item{one, two}, nil, "the longest items in one prompt: 2 candidates and the latest item of the history take 79 tokens, more than 60"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			items, captions := tables(t, c.items, c.captions)
			b := builder(t, tiny(t, nil, false, ""), short, Limits{2, 100, 60}, 2)
			_, err := b.ReadItems(items, captions, false)
			if wantError(t, err, c.want); !fail.IsUsage(err) {
				t.Errorf("%v is no usage error", err)
			}
		})
	}
	b := builder(t, tiny(t, nil, false, ""), short, wide, 2)
	_, err := b.ReadItems(filepath.Join(t.TempDir(), "items.parquet"), "", false)
	wantError(t, err, "no such file")
	items, _ := tables(t, []table.Item{one}, nil)
	_, err = b.ReadItems(items, items, false)
	wantError(t, err, "no column")
}
