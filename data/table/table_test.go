package table

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestRowsComeBackAsWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		items := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) Item {
			return Item{
				ItemID: rapid.Int32().Draw(rt, "id"), SourceID: rapid.String().Draw(rt, "source"), Title: rapid.String().Draw(rt, "title"),
				ImageURL: rapid.SampledFrom([]string{"", "http://x/y.jpg"}).Draw(rt, "url"), Categories: rapid.SliceOfN(rapid.String(), 1, 4).Draw(rt, "categories"),
			}
		}), 0, 200).Draw(rt, "items")
		sameAfterRoundTrip(rt, t.TempDir(), items, func(a, b Item) bool {
			return a.ItemID == b.ItemID && a.SourceID == b.SourceID && a.Title == b.Title && a.ImageURL == b.ImageURL && strings.Join(a.Categories, "|") == strings.Join(b.Categories, "|")
		})
		sequences := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) Sequence {
			return Sequence{UserID: rapid.Int32().Draw(rt, "u"), Train: rapid.SliceOfN(rapid.Int32(), 0, 300).Draw(rt, "train"), Val: 1, Test: 2}
		}), 0, 100).Draw(rt, "sequences")
		sameAfterRoundTrip(rt, t.TempDir(), sequences, func(a, b Sequence) bool {
			return a.UserID == b.UserID && equal(a.Train, b.Train) && a.Val == b.Val && a.Test == b.Test
		})
	})
}

func equal[E comparable](a, b []E) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func sameAfterRoundTrip[T any](t *rapid.T, dir string, rows []T, same func(a, b T) bool) {
	path := filepath.Join(dir, "t.parquet")
	if err := WriteAll(path, rows); err != nil {
		t.Fatal(err)
	}
	got, err := ReadAll[T](path)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(rows) {
		t.Fatalf("%d rows, want %d", len(got), len(rows))
	}
	for i := range rows {
		if !same(got[i], rows[i]) {
			t.Fatalf("row %d: %+v, want %+v", i, got[i], rows[i])
		}
	}
}

func TestBytesDoNotDependOnTheCallersBatches(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var rows []Interaction
	for i := range int32(300_000) {
		rows = append(rows, Interaction{UserID: i / 7, ItemID: i*i%997 + 1, Rating: 4.5, Timestamp: int64(i) * 1000})
	}
	var first []byte
	for _, batch := range []int{len(rows), 1, 77, 64} {
		path := filepath.Join(dir, "i.parquet")
		w, err := Create[Interaction](path)
		if err != nil {
			t.Fatal(err)
		}
		for left := rows; len(left) > 0; left = left[min(batch, len(left)):] {
			if err := w.Write(left[:min(batch, len(left))]...); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = data
		}
		if !bytes.Equal(first, data) {
			t.Errorf("batches of %d give other bytes", batch)
		}
	}
}

func TestSlicesMayBeReusedAfterWrite(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s.parquet")
	w, err := Create[Sequence](path)
	if err != nil {
		t.Fatal(err)
	}
	buffer := make([]int32, 3)
	for u := range int32(200) {
		buffer[0], buffer[1], buffer[2] = u, u+1, u+2
		if err := w.Write(Sequence{UserID: u, Train: buffer}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	rows, err := ReadAll[Sequence](path)
	if err != nil {
		t.Fatal(err)
	}
	for u, row := range rows {
		if row.Train[0] != int32(u) {
			t.Fatalf("row %d: %v", u, row)
		}
	}
}

func TestAbortLeavesTheOldFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "u.parquet")
	if err := WriteAll(path, []User{{1, "a"}}); err != nil {
		t.Fatal(err)
	}
	w, err := Create[User](path)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(User{2, "b"}); err != nil {
		t.Fatal(err)
	}
	w.Abort()
	rows, err := ReadAll[User](path)
	if err != nil || len(rows) != 1 || rows[0].SourceID != "a" {
		t.Fatalf("%v, %v", rows, err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) != 0 {
		t.Errorf("temporary files left: %v", left)
	}
}

func TestSchemaMismatchNamesFileColumnAndTypes(t *testing.T) {
	t.Parallel()
	type otherUser struct {
		UserID   int64  `parquet:"user_id"`
		SourceID string `parquet:"source_id"`
	}
	path := filepath.Join(t.TempDir(), "users.parquet")
	if err := WriteAll(path, []otherUser{{1, "a"}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, want string }{
		{"type", "users.parquet: column user_id is int64, wanted int32"},
		{"missing", "users.parquet: no column item_id (wanted int32); the file has: user_id, source_id"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var err error
			if c.name == "type" {
				_, err = Open[User](path)
			} else {
				_, err = Open[Item](path)
			}
			if err == nil || err.Error() != c.want {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

func TestDescribeShowsNumbersWithoutSignAsTheyAre(t *testing.T) {
	t.Parallel()
	type row struct {
		Small uint32 `parquet:"small"`
		Large uint64 `parquet:"large"`
	}
	path := filepath.Join(t.TempDir(), "x.parquet")
	if err := WriteAll(path, []row{{math.MaxUint32, math.MaxUint64}}); err != nil {
		t.Fatal(err)
	}
	var js bytes.Buffer
	if err := Describe(&js, path, 1, true); err != nil || !strings.Contains(js.String(), `{"large":18446744073709551615,"small":4294967295}`) {
		t.Errorf("%v, %s", err, js.String())
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "items.parquet")
	if err := WriteAll(path, []Item{{ItemID: 1, SourceID: "x", Title: "A title", Categories: []string{"a", "b"}}, {ItemID: 2, SourceID: "y"}}); err != nil {
		t.Fatal(err)
	}
	var text, js bytes.Buffer
	if err := Describe(&text, path, 1, false); err != nil {
		t.Fatal(err)
	}
	if err := Describe(&js, path, 2, true); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"2 rows", "item_id          int32\n", "categories       list<string>?\n", `"A title"`, `["a", "b"]`, "image_url        null"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	if !strings.Contains(js.String(), `"categories":["a","b"]`) {
		t.Error(js.String())
	}
}
