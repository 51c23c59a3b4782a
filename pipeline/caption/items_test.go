package caption_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"mllm4rec/data/table"
	"mllm4rec/export/blip2/blip2test"
	"mllm4rec/internal/fail"
	"mllm4rec/pipeline/caption"
	"mllm4rec/pipeline/images"
)

// newItems makes a run folder of items "B1", "B2", … whose pictures are painted from the seeds; 0 has none.
func newItems(t *testing.T, seeds ...uint64) caption.ItemOptions {
	t.Helper()
	o := caption.ItemOptions{Dir: t.TempDir(), Model: newOptions(t).Model}
	o.Model.MaxTokens, o.Model.Beams = 20, 1
	putItems(t, o, seeds...)
	return o
}

func putItems(t *testing.T, o caption.ItemOptions, seeds ...uint64) {
	t.Helper()
	var items []table.Item
	var rows []table.Image
	for i, seed := range seeds {
		id := int32(i + 1)
		items = append(items, table.Item{ItemID: id, SourceID: fmt.Sprintf("B%d", id)})
		row := table.Image{ItemID: id, Status: images.Missing, Reason: "no address"}
		if seed > 0 {
			data := painted(t, seed)
			sum := sha256.Sum256(data)
			row = table.Image{ItemID: id, Status: images.OK, SHA256: hex.EncodeToString(sum[:])}
			row.Path = "images/" + row.SHA256 + ".png"
			put(t, caption.Options{Images: o.Dir}, row.Path, data)
		}
		rows = append(rows, row)
	}
	writeTable(t, filepath.Join(o.Dir, "items.parquet"), items)
	writeTable(t, filepath.Join(o.Dir, images.TableFile), rows)
}

func writeTable[T any](t *testing.T, path string, rows []T) {
	t.Helper()
	if err := table.WriteAll(path, rows); err != nil {
		t.Fatal(err)
	}
}

func runItems(t *testing.T, o caption.ItemOptions) ([]table.Caption, caption.Stats) {
	t.Helper()
	stats, err := caption.RunItems(t.Context(), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := table.ReadAll[table.Caption](filepath.Join(o.Dir, caption.TableFile))
	if err != nil {
		t.Fatal(err)
	}
	return rows, stats
}

// said is a row of another tool's table.
type said struct {
	SourceID string `parquet:"source_id"`
	Caption  string `parquet:"caption,optional"`
}

func foreignTable(t *testing.T, rows ...said) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "theirs.parquet")
	writeTable(t, path, rows)
	return path
}

func TestCaptionsOfAnotherToolNeedNoCaptioner(t *testing.T) {
	t.Parallel()
	o := newItems(t, 0, 0, 0)
	o.Model.File = ""
	o.Table = foreignTable(t, said{"B3", "a hat"}, said{"B1", "a cat"}, said{"B1", "a black cat"}, said{"B2", ""}, said{"X", "?"}, said{"Y", "?"}, said{"", "?"})
	rows, stats := runItems(t, o)
	want := []table.Caption{{ItemID: 1, Caption: "a black cat", Model: "table"}, {ItemID: 3, Caption: "a hat", Model: "table"}}
	if !slices.Equal(rows, want) {
		t.Errorf("%+v", rows)
	}
	unused := []caption.Unused{
		{Reason: "another row of the item comes later", Rows: 1, First: []string{"B1"}}, {Reason: "an empty caption", Rows: 1, First: []string{"B2"}},
		{Reason: "no item of this run", Rows: 2, First: []string{"X", "Y"}}, {Reason: "no item", Rows: 1, First: []string{"row 7"}},
	}
	if f := stats.Foreign; f.Rows != 7 || f.Used != 2 || !reflect.DeepEqual(f.Unused, unused) {
		t.Errorf("%+v", f)
	}
}

func TestOurTablesComeBackIn(t *testing.T) {
	t.Parallel()
	o := newItems(t, 1, 2)
	want, _ := runItems(t, o)
	again := newItems(t, 0, 0)
	again.Model.File, again.Table = "", filepath.Join(o.Dir, caption.TableFile)
	rows, _ := runItems(t, again)
	if len(rows) != 2 || rows[0].Caption != want[0].Caption || rows[1].Caption != want[1].Caption {
		t.Errorf("%+v, want %+v", rows, want)
	}
}

func TestTheCaptionerCaptionsWhatTheTableLeaves(t *testing.T) {
	t.Parallel()
	o := newItems(t, 1, 2, 0, 3)
	o.Table = foreignTable(t, said{"B2", "a hat"}, said{"B3", "a cat"})
	rows, stats := runItems(t, o)
	if len(rows) != 4 || stats.Asked != 2 || stats.Foreign.Used != 2 {
		t.Fatalf("%+v, %+v", rows, stats)
	}
	for i, row := range rows {
		foreign := i == 1 || i == 2
		if int(row.ItemID) != i+1 || (row.Model == "table") != foreign || (row.ImageSHA256 == "") != foreign || (row.Settings == "") != foreign || row.Caption == "" {
			t.Errorf("%+v", row)
		}
	}
	o.Table = foreignTable(t, said{"B1", "a"}, said{"B2", "b"}, said{"B4", "c"})
	if rows, stats := runItems(t, o); len(rows) != 3 || stats.Asked != 0 {
		t.Errorf("all pictures have captions already: %+v, %+v", rows, stats)
	}
}

func TestPicturesThatCannotBeReadAreNoErrorBesideATable(t *testing.T) {
	t.Parallel()
	o := newItems(t, 1, 2)
	o.Table = foreignTable(t, said{"B1", "a hat"})
	pictures, err := filepath.Glob(filepath.Join(o.Dir, "images", "*"))
	if err != nil || len(pictures) != 2 {
		t.Fatal(pictures, err)
	}
	for _, path := range pictures {
		if err := os.WriteFile(path, []byte("torn"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rows, stats := runItems(t, o)
	if len(rows) != 2 || rows[0].Caption != "a hat" || rows[1].Caption != "" || rows[1].Reason == "" || stats.Pictures != 1 {
		t.Errorf("%+v, %+v", rows, stats)
	}
	o.Table = ""
	if _, err := caption.RunItems(t.Context(), o, nil); err == nil || !strings.Contains(err.Error(), "not one of 2 pictures got a caption") {
		t.Errorf("error %v", err)
	}
}

func TestTablesThatAreNoCaptionsAreRefused(t *testing.T) {
	t.Parallel()
	o := newItems(t, 0)
	o.Model.File = ""
	numbers := filepath.Join(t.TempDir(), "numbers.parquet")
	writeTable(t, numbers, []struct {
		ItemID  int64   `parquet:"item_id"`
		Caption float64 `parquet:"caption"`
	}{{1, 2}})
	for path, want := range map[string]string{
		numbers:                             `numbers.parquet: column "caption" holds DOUBLE, wanted text; name a Parquet file with the columns caption and source_id or item_id`,
		"nowhere.parquet":                   "captioner.table: nowhere.parquet: no such file; name a Parquet file",
		foreignTable(t, said{"X", "a hat"}): "not one of 1 rows is a caption of an item of this run (1: no item of this run, such as X)",
		foreignTable(t):                     "no rows in it",
	} {
		o.Table = path
		if _, err := caption.RunItems(t.Context(), o, nil); !fail.IsUsage(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}

func TestCaptionsOfBeforeAreKept(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*testing.T, *caption.ItemOptions)
		seeds  []uint64
		asked  int64
	}{
		"nothing new":     {nil, []uint64{1, 2, 3}, 0},
		"another item":    {nil, []uint64{1, 9, 2, 3}, 1},
		"another picture": {nil, []uint64{1, 2, 8}, 1},
		"one fewer":       {nil, []uint64{3, 2}, 0},
		"another prompt":  {func(_ *testing.T, o *caption.ItemOptions) { o.Model.Prompt = "a" }, []uint64{1, 2, 3}, 3},
		"more beams":      {func(_ *testing.T, o *caption.ItemOptions) { o.Model.Beams = 2 }, []uint64{1, 2, 3}, 3},
		"longer":          {func(_ *testing.T, o *caption.ItemOptions) { o.Model.MaxTokens = 7 }, []uint64{1, 2, 3}, 3},
		"another batch":   {func(_ *testing.T, o *caption.ItemOptions) { o.Model.Batch = 2 }, []uint64{1, 2, 3}, 0},
		"another captioner": {func(t *testing.T, o *caption.ItemOptions) {
			dir := t.TempDir()
			if err := blip2test.Write(dir, 8); err != nil {
				t.Fatal(err)
			}
			o.Model.File = exported(t, dir)
		}, []uint64{1, 2, 3}, 3},
		"a damaged table": {func(t *testing.T, o *caption.ItemOptions) {
			if err := os.Truncate(filepath.Join(o.Dir, caption.TableFile), 100); err != nil {
				t.Fatal(err)
			}
		}, []uint64{1, 2, 3}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newItems(t, 1, 2, 3)
			before, stats := runItems(t, o)
			if stats.Asked != 3 || stats.Kept != 0 {
				t.Fatalf("%+v", stats)
			}
			if c.change != nil {
				c.change(t, &o)
			}
			putItems(t, o, c.seeds...)
			if c.asked == 0 { // who has captions may delete the pictures
				if err := os.RemoveAll(filepath.Join(o.Dir, "images")); err != nil {
					t.Fatal(err)
				}
			}
			after, stats := runItems(t, o)
			if stats.Asked != c.asked || stats.Kept != int64(len(c.seeds))-c.asked || len(after) != len(c.seeds) {
				t.Errorf("%+v, %d rows", stats, len(after))
			}
			for _, row := range after {
				i := slices.IndexFunc(before, func(b table.Caption) bool { return b.ImageSHA256 == row.ImageSHA256 })
				if c.change == nil && i >= 0 && before[i].Caption != row.Caption || row.Caption == "" {
					t.Errorf("%+v", row)
				}
			}
		})
	}
}
