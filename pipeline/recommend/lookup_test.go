package recommend_test

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mllm4rec/data/table"
	"mllm4rec/export/blip2/blip2test"
	"mllm4rec/export/matrix"
	"mllm4rec/pipeline/caption"
	"mllm4rec/pipeline/recommend"
	"mllm4rec/runtime/serve"
)

// titled renames the first items of a run.
func titled(t testing.TB, o recommend.Options, titles ...string) recommend.Options {
	t.Helper()
	path := filepath.Join(o.Dir, "items.parquet")
	rows, err := table.ReadAll[table.Item](path)
	if err != nil {
		t.Fatal(err)
	}
	for i, title := range titles {
		rows[i].Title = title
	}
	if err := table.WriteAll(path, rows); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestSearch(t *testing.T) {
	t.Parallel()
	b := open(t, titled(t, newRun(t), "Alien Nation", "Aliens", "Alien", "The Alien", "Le Fabuleux Destin d'Amélie Poulain", "Schindler's List (1993)", "ÉLÉMENT", "東京 物語", ""))
	for _, c := range []struct {
		query string
		limit int
		want  []int32
	}{
		{"alien", 10, []int32{3, 1, 2, 4}}, // the title itself, titles that begin so, a word, in each the popular ones first
		{"ALIEN", 2, []int32{3, 1}},
		{"ali nat", 10, []int32{1}},
		{"nation alien", 10, []int32{1}},
		{"amelie", 10, nil}, // d'Amélie is a word of its own
		{"damelie", 10, []int32{5}},
		{"Fabuleux poul", 10, []int32{5}},
		{"schindlers", 10, []int32{6}},
		{"schindler’s list", 10, []int32{6}},
		{"element", 10, []int32{7}},
		{"Élément", 10, []int32{7}},
		{"東京", 10, []int32{8}},
		{"lien", 10, nil},
		{"", 3, []int32{1, 2, 3}},
		{" - ", 2, []int32{1, 2}},
		{"film 10", 10, []int32{10}},
		{"film", 2, []int32{10, 11}},
	} {
		found, err := b.Search(c.query, c.limit)
		var got []int32
		for _, item := range found {
			got = append(got, item.ItemID)
		}
		if err != nil || !slices.Equal(got, c.want) || found == nil {
			t.Errorf("%q: %v, %v, want %v", c.query, got, err, c.want)
		}
	}
}

func TestSearchRefuses(t *testing.T) {
	t.Parallel()
	b := open(t, newRun(t))
	for _, c := range []struct {
		query         string
		limit         int
		field, detail string
	}{
		{"a", 0, "limit", "give 1 to 100"}, {"a", 101, "limit", "give 1 to 100"},
		{strings.Repeat("a ", 17), 5, "q", "17 are given"}, {strings.Repeat("a", 2000), 5, "q", "2000 bytes"},
	} {
		_, err := b.Search(c.query, c.limit)
		wantProblem(t, err, 422, "out_of_range", c.field, c.detail)
	}
}

func FuzzSearch(f *testing.F) {
	b := open(f, newRun(f))
	for _, query := range []string{"film a", "É’", "\xff\xfe", "a b c d e f g h i j k l m n o p q"} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		found, err := b.Search(query, 5)
		var told *serve.Error
		if len(found) > 5 || err != nil && !errors.As(err, &told) {
			t.Errorf("%d items, %v", len(found), err)
		}
	})
}

func TestSearchFindsWhatLookingAtEveryTitleDoes(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 6))
	some := func(most int) string {
		var words []string
		for range random.IntN(most + 1) {
			words = append(words, []string{"a", "ab", "abc", "b", "ba", "c", "ca", "cab"}[random.IntN(8)])
		}
		return strings.Join(words, " ")
	}
	for range 200 {
		all := make([]string, 1+random.IntN(200))
		for i := range all {
			all[i] = some(4)
		}
		search := recommend.IndexTitles(all)
		for range 20 {
			query, limit := some(3), 1+random.IntN(30)
			if got, want := search(query, limit), lookAtAll(all, query, limit); !slices.Equal(got, want) {
				t.Fatalf("%q, %d of %q: %v, want %v", query, limit, all, got, want)
			}
		}
	}
}

// lookAtAll is search without an index, for titles of small letters.
func lookAtAll(all []string, query string, limit int) (found []int32) {
	kinds := make([][]int32, 4)
	asked := strings.Fields(query)
	for i, title := range all {
		words := strings.Fields(title)
		part, whole := true, true
		for _, word := range asked {
			part = part && slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(w, word) })
			whole = whole && slices.Contains(words, word)
		}
		kind := -1
		switch {
		case title == query || query == "":
			kind = 0
		case strings.HasPrefix(title, query):
			kind = 1
		case whole:
			kind = 2
		case part:
			kind = 3
		}
		if kind >= 0 {
			kinds[kind] = append(kinds[kind], int32(i+1))
		}
	}
	found = slices.Concat(kinds...)
	return found[:min(limit, len(found))]
}

// BenchmarkSearch searches 100,000 titles; the worst queries are those that nearly all of them answer.
func BenchmarkSearch(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	var all []string
	for range 100_000 {
		all = append(all, fmt.Sprintf("The %c%c%d of %d", 'a'+random.IntN(26), 'a'+random.IntN(26), random.IntN(1000), random.IntN(100)))
	}
	search := recommend.IndexTitles(all)
	for _, query := range []string{"t", "the o", "ab", "", "the ab1 of 1", strings.Repeat("t ", 16)} {
		b.Run(query, func(b *testing.B) {
			for b.Loop() {
				search(query, 10)
			}
		})
	}
}

func TestItemsAreFoundByEitherID(t *testing.T) {
	t.Parallel()
	o := newRun(t)
	if err := table.WriteAll(filepath.Join(o.Dir, "captions.parquet"), []table.Caption{{ItemID: 6, Caption: "a red car"}}); err != nil {
		t.Fatal(err)
	}
	b := open(t, o)
	for _, ref := range []serve.Ref{{ID: 6}, {Source: "i6"}} {
		got, err := b.Item(ref)
		if err != nil {
			t.Fatal(err)
		}
		if got.ItemID != 6 || got.SourceID != "i6" || got.Title != "Film f 6" || got.Caption != "a red car" || !slices.Equal(got.Categories, []string{"Comedy", "Drama"}) || got.HasPicture {
			t.Errorf("%+v", got)
		}
	}
	for _, ref := range []serve.Ref{{ID: 31}, {Source: "6"}, {ID: -2}, {}} {
		_, err := b.Item(ref)
		wantProblem(t, err, 404, "unknown_item", "", "there is no item")
		_, err = b.Picture(ref)
		wantProblem(t, err, 404, "unknown_item", "", "there is no item")
		_, err = b.User(ref)
		wantProblem(t, err, 404, "unknown_user", "", "there is no user")
	}
}

func TestTablesOfAnEarlierRecipeAreNotShown(t *testing.T) {
	t.Parallel()
	o := newRun(t)
	withPictures(t, o)
	if err := table.WriteAll(filepath.Join(o.Dir, "captions.parquet"), []table.Caption{{ItemID: 1, Caption: "another item"}, {ItemID: items + 1}}); err != nil {
		t.Fatal(err)
	}
	o.Captions, o.Pictures = false, false
	if got, err := open(t, o).Item(serve.Ref{ID: 1}); err != nil || got.Caption != "" || got.HasPicture {
		t.Errorf("%+v, %v", got, err)
	}
}

// withPictures gives items 1 to 4 pictures: one that is there, one that is gone, a link out of the folder, a folder.
func withPictures(t *testing.T, o recommend.Options) {
	t.Helper()
	path := func(name string) string { return filepath.Join(o.Dir, "images", name) }
	var rows []table.Image
	for i, name := range []string{"there", "gone", "link", "folder"} {
		rows = append(rows, table.Image{ItemID: int32(i + 1), Status: "ok", Path: "images/aa/" + name})
	}
	rows = append(rows, table.Image{ItemID: 5, Status: "failed"})
	err := errors.Join(os.MkdirAll(path("aa/folder"), 0o700), os.WriteFile(path("aa/there"), []byte("x"), 0o600), os.Symlink("../../users.parquet", path("aa/link")),
		table.WriteAll(filepath.Join(o.Dir, "images.parquet"), rows))
	if err != nil {
		t.Fatal(err)
	}
}

func TestPicturesComeFromTheirFolderAlone(t *testing.T) {
	t.Parallel()
	o := newRun(t)
	withPictures(t, o)
	b := open(t, o)
	want := map[int32]string{1: filepath.Join(o.Dir, "images", "aa", "there")}
	for id := int32(1); id <= 6; id++ {
		path, err := b.Picture(serve.Ref{ID: id})
		if path != want[id] || (err != nil) != (id == 3) {
			t.Errorf("item %d: %q, %v", id, path, err)
		}
		if item, err := b.Item(serve.Ref{ID: id}); err != nil || item.HasPicture != (id < 5) {
			t.Errorf("%+v, %v", item, err)
		}
	}
	if err := os.RemoveAll(filepath.Join(o.Dir, "images")); err != nil {
		t.Fatal(err)
	}
	if item, err := open(t, o).Item(serve.Ref{ID: 1}); err != nil || item.HasPicture {
		t.Errorf("the folder is gone: %+v, %v", item, err)
	}
}

func painted(t *testing.T, side int) []byte {
	t.Helper()
	var file bytes.Buffer
	if err := png.Encode(&file, image.NewGray(image.Rect(0, 0, side, side))); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func TestCaption(t *testing.T) {
	t.Parallel()
	o, dir := newRun(t), t.TempDir()
	o.Captioner = &caption.ModelOptions{File: filepath.Join(o.Dir, "captioner.onnx"), ORT: o.ORT}
	if err := blip2test.Write(dir, 3); err != nil {
		t.Fatal(err)
	}
	if _, err := caption.Export(t.Context(), caption.ExportOptions{Model: dir, Out: o.Captioner.File, Precision: matrix.FP32}); err != nil {
		t.Fatal(err)
	}
	b := open(t, o)
	got, err := b.Caption(t.Context(), painted(t, 9))
	if err != nil || len(got.SHA256) != 64 || got.Models.Captioner == "" || got.Timings.Caption == 0 {
		t.Errorf("%+v, %v", got, err)
	}
	for name, data := range map[string][]byte{"nothing": nil, "text": []byte("no picture"), "half": painted(t, 200)[:90], "too large": painted(t, 5001)} {
		_, err := b.Caption(t.Context(), data)
		t.Log(name)
		wantProblem(t, err, 422, "bad_picture", "", "")
	}
	info := b.Info()
	if kinds := len(info.Models); kinds != 2 || info.Models[1].Kind != "captioner" || info.Models[1].Precision != "fp32" || info.Limits.PictureBytes == 0 {
		t.Errorf("%+v", info)
	}
	_, err = open(t, newRun(t)).Caption(t.Context(), painted(t, 9))
	wantProblem(t, err, 422, "no_captioner", "", "no captioner")
}
