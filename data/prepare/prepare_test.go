package prepare_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mllm4rec/data/prepare"
	"mllm4rec/data/source"
	"mllm4rec/data/table"
	"mllm4rec/internal/fail"
)

// memory is a source in memory.
type memory struct {
	log   []source.Interaction
	items []source.Item
}

func (m memory) Interactions(_ context.Context, _ source.Log, row func(source.Interaction) error) error {
	for _, in := range m.log {
		if err := row(in); err != nil {
			return err
		}
	}
	return nil
}

func (m memory) Items(_ context.Context, _ source.Log, row func(source.Item) error) error {
	for _, item := range m.items {
		if err := row(item); err != nil {
			return err
		}
	}
	return nil
}

func (m memory) HasItems() bool  { return m.items != nil }
func (m memory) Files() []string { return nil }

func in(user, item string, rating float32, timestamp int64) source.Interaction {
	return source.Interaction{User: []byte(user), Item: []byte(item), Rating: rating, Timestamp: timestamp}
}

// prepared is what came out, in source ids.
func prepared(t testing.TB, dir string) (sequences map[string][]string, order []string) {
	users, err := table.ReadAll[table.User](filepath.Join(dir, "users.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	items, err := table.ReadAll[table.Item](filepath.Join(dir, "items.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := table.ReadAll[table.Sequence](filepath.Join(dir, "sequences.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	sequences = map[string][]string{}
	for _, s := range rows {
		user := users[s.UserID-1].SourceID
		order = append(order, user)
		for _, item := range append(s.Train, s.Val, s.Test) {
			sequences[user] = append(sequences[user], items[item-1].SourceID)
		}
	}
	return sequences, order
}

// TestPreparationEqualsTheObviousWay compares with a direct, slow way of doing the same on random logs.
func TestPreparationEqualsTheObviousWay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		id := rapid.SampledFrom([]string{"1", "2", "10", "11", "9", "100"})
		if rapid.Bool().Draw(rt, "words") {
			id = rapid.SampledFrom([]string{"1", "2", "10", "b", "B", "é"})
		}
		var m memory
		for range rapid.IntRange(1, 80).Draw(rt, "rows") {
			m.log = append(m.log, in(id.Draw(rt, "user"), id.Draw(rt, "item"), float32(rapid.IntRange(1, 5).Draw(rt, "rating")), int64(rapid.IntRange(0, 4).Draw(rt, "time"))))
		}
		if rapid.Bool().Draw(rt, "metadata") {
			for _, item := range rapid.SliceOfN(id, 1, 6).Draw(rt, "items") {
				m.items = append(m.items, source.Item{ID: []byte(item), Title: "title of " + item})
			}
		}
		o := prepare.Options{MinRating: float64(rapid.IntRange(0, 3).Draw(rt, "min rating")), MinUser: rapid.IntRange(1, 5).Draw(rt, "min user"), MinItem: rapid.IntRange(1, 4).Draw(rt, "min item")}
		want, order := obvious(m, o)
		stats, err := prepare.Run(t.Context(), m, o, dir, nil)
		if len(want) == 0 {
			if !fail.IsUsage(err) {
				rt.Fatalf("%v, want an error: nothing is left", err)
			}
			return
		}
		if err != nil {
			rt.Fatal(err)
		}
		got, gotOrder := prepared(t, dir)
		if fmt.Sprint(got) != fmt.Sprint(want) || fmt.Sprint(gotOrder) != fmt.Sprint(order) {
			rt.Fatalf("got %v %v\nwant %v %v", got, gotOrder, want, order)
		}
		if n := stats.DroppedByRating + stats.DroppedByMetadata + stats.DroppedByKCore + stats.Interactions; n != stats.RawRows || n != int64(len(m.log)) {
			rt.Fatalf("%d rows accounted for of %d", n, len(m.log))
		}
	})
}

func obvious(m memory, o prepare.Options) (sequences map[string][]string, users []string) {
	log := slices.Clone(m.log)
	held := map[string]bool{}
	for _, item := range m.items {
		held[string(item.ID)] = true
	}
	log = slices.DeleteFunc(log, func(r source.Interaction) bool {
		return float64(r.Rating) < o.MinRating || m.items != nil && !held[string(r.Item)]
	})
	for before := -1; before != len(log); {
		before = len(log)
		ofUser, ofItem := map[string]int{}, map[string]int{}
		for _, r := range log {
			ofUser[string(r.User)]++
			ofItem[string(r.Item)]++
		}
		log = slices.DeleteFunc(log, func(r source.Interaction) bool {
			return ofUser[string(r.User)] < max(o.MinUser, 3) || ofItem[string(r.Item)] < o.MinItem
		})
	}
	byID := func(ids map[string]bool) func(a, b string) int {
		for id := range ids {
			if _, err := strconv.Atoi(id); err != nil {
				return cmp.Compare[string]
			}
		}
		return func(a, b string) int {
			x, _ := strconv.Atoi(a)
			y, _ := strconv.Atoi(b)
			return x - y
		}
	}
	userIDs, itemIDs := map[string]bool{}, map[string]bool{}
	for _, r := range log {
		userIDs[string(r.User)], itemIDs[string(r.Item)] = true, true
	}
	itemOrder := byID(itemIDs)
	slices.SortStableFunc(log, func(a, b source.Interaction) int {
		return cmp.Or(cmp.Compare(a.Timestamp, b.Timestamp), itemOrder(string(a.Item), string(b.Item)))
	})
	sequences = map[string][]string{}
	for _, r := range log {
		sequences[string(r.User)] = append(sequences[string(r.User)], string(r.Item))
	}
	for user := range sequences {
		users = append(users, user)
	}
	slices.SortFunc(users, byID(userIDs))
	return sequences, users
}

func TestNothingLeftSaysWhichStepTookIt(t *testing.T) {
	t.Parallel()
	log := []source.Interaction{in("u", "a", 3, 1), in("u", "b", 3, 2), in("u", "c", 3, 3)}
	for _, c := range []struct {
		name string
		m    memory
		o    prepare.Options
		want string
	}{
		{"rating", memory{log: log}, prepare.Options{MinRating: 4, MinUser: 1, MinItem: 1}, "all 3 are rated below data.min_rating 4"},
		{"metadata", memory{log: log, items: []source.Item{{ID: []byte("x")}}}, prepare.Options{MinUser: 1, MinItem: 1}, "the item metadata holds none of the 3 items"},
		{"k-core", memory{log: log}, prepare.Options{MinUser: 5, MinItem: 5}, "the k-core (5 a user, 5 an item) took the last 3"},
		{"bad options", memory{log: log}, prepare.Options{}, "at least 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := prepare.Run(t.Context(), c.m, c.o, t.TempDir(), nil)
			if !fail.IsUsage(err) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want … %s …", err, c.want)
			}
		})
	}
}

func TestMetadataRules(t *testing.T) {
	t.Parallel()
	m := memory{
		log: []source.Interaction{in("u", "a", 3, 1), in("u", "b", 3, 2), in("u", "c", 3, 3), in("u", "gone", 3, 4)},
		items: []source.Item{
			{ID: []byte("a"), Title: "first", ImageURL: "http://a"}, {ID: []byte("a"), Title: "second"},
			{ID: []byte("b")}, {ID: []byte("b"), Title: "late"},
			{ID: []byte("c"), Categories: []string{"x"}}, {ID: []byte("unseen"), Title: "unseen"},
		},
	}
	dir := t.TempDir()
	stats, err := prepare.Run(t.Context(), m, prepare.Options{MinUser: 1, MinItem: 1}, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	items, err := table.ReadAll[table.Item](filepath.Join(dir, "items.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	want := "[{1 a first http://a  []} {2 b late   []} {3 c c   [x]}]"
	if fmt.Sprint(items) != want {
		t.Errorf("%v, want %s", items, want)
	}
	if stats.MissingTitles != 1 || stats.DroppedByMetadata != 1 {
		t.Errorf("%+v", stats)
	}
}

func TestRejectsAreCountedAndKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log := "u,a,5,1\nu,b,x,2\nu,b,5,2\nu\xff,b,5,2\nu,c,5,3\n"
	if err := os.WriteFile(filepath.Join(dir, "ratings_X.csv"), []byte(log), 0o600); err != nil {
		t.Fatal(err)
	}
	src, err := source.Open(source.Options{Kind: "amazon2014", Path: dir})
	if err != nil {
		t.Fatal(err)
	}
	stats, err := prepare.Run(t.Context(), src, prepare.Options{MinUser: 3, MinItem: 1}, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if stats.RawRows != 5 || fmt.Sprint(stats.Rejected) != "map[invalid UTF-8:1 rating is no number:1]" {
		t.Errorf("%+v", stats)
	}
	got, err := os.ReadFile(filepath.Join(dir, "rejects.csv"))
	want := "file,row,reason,raw\nratings_X.csv,2,rating is no number,\"u,b,x,2\"\nratings_X.csv,4,invalid UTF-8,\"u\uFFFD,b,5,2\"\n"
	if err != nil || string(got) != want {
		t.Errorf("%q, %v", got, err)
	}
}

func TestRejectsOfAnUnusableFileAreKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ratings_X.csv"), []byte("<html>\nu,a,5,1\n</html>\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	src, err := source.Open(source.Options{Kind: "amazon2014", Path: dir})
	if err != nil {
		t.Fatal(err)
	}
	_, err = prepare.Run(t.Context(), src, prepare.DefaultOptions, dir, nil)
	if !fail.IsUsage(err) || !strings.Contains(err.Error(), "2 of 3 rows are bad") || strings.Contains(err.Error(), "\n") {
		t.Error(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "rejects.csv")); err != nil || strings.Count(string(got), "\n") != 3 {
		t.Errorf("%q, %v", got, err)
	}
}

func TestSameDataGivesSameBytes(t *testing.T) {
	t.Parallel()
	var m memory
	for i := range 20_000 {
		m.log = append(m.log, in(strconv.Itoa(i*7919%997), strconv.Itoa(i*104729%499), float32(i%5), int64(i%13)))
	}
	var first map[string][]byte
	for range 3 {
		dir := t.TempDir()
		if _, err := prepare.Run(t.Context(), m, prepare.DefaultOptions, dir, nil); err != nil {
			t.Fatal(err)
		}
		files := map[string][]byte{}
		names, _ := filepath.Glob(filepath.Join(dir, "*"))
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			files[filepath.Base(name)] = data
		}
		if len(files) != 6 {
			t.Errorf("%d files", len(files))
		}
		if first == nil {
			first = files
		}
		for name, data := range files {
			if !bytes.Equal(data, first[name]) {
				t.Errorf("%s differs", name)
			}
		}
	}
}

func TestCancelledPreparationLeavesNoTables(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	m := memory{log: []source.Interaction{in("u", "a", 3, 1), in("u", "b", 3, 2), in("u", "c", 3, 3)}}
	if _, err := prepare.Run(ctx, m, prepare.Options{MinUser: 1, MinItem: 1}, dir, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	for _, name := range []string{"sequences.parquet", "prepare.json"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s is there", name)
		}
	}
}
