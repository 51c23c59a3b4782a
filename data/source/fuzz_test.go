package source

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzSplitter compares with the standard library's CSV reader where both take a line.
func FuzzSplitter(f *testing.F) {
	for _, seed := range []string{`1,"American President, The (1995)",Comedy`, `a,"b ""c"" d",`, `"`, `"a"b,c`, `a"b,c`, ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if strings.ContainsAny(line, "\r\n") || line == "" {
			return
		}
		s := splitter{delimiter: ','}
		got, ok := s.csv([]byte(line))
		r := csv.NewReader(strings.NewReader(line))
		want, err := r.Read()
		if err == nil && !ok {
			t.Fatalf("%q is refused", line)
		}
		if err == nil && fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Fatalf("%q: %q, want %q", line, got, want)
		}
		if ok == (&quoteScan{delimiter: ','}).openAt([]byte(line)) && ok {
			t.Fatalf("%q is split though a quote is open", line)
		}
	})
}

// fuzzKinds are the kinds and the files that they read.
var fuzzKinds = []struct {
	kind, log, items string
	options          Options
}{
	{"movielens", "u.data", "u.item", Options{}},
	{"movielens", "ratings.dat", "movies.dat", Options{}},
	{"movielens", "ratings.csv", "movies.csv", Options{}},
	{"amazon2014", "ratings_X.csv", "meta_X.json", Options{}},
	{"amazon2018", "X.json", "meta_X.json", Options{}},
	{"amazon2023", "X.csv", "meta_X.jsonl", Options{}},
	{"amazon2023", "X.jsonl", "meta_X.jsonl", Options{}},
	{"csv", "log", "items", Options{Interactions: "log", Items: "items", NoHeader: true, Columns: Columns{User: "1", Item: "2", Rating: "3", Timestamp: "4"},
		ItemColumns: ItemColumns{ID: "1", Title: "2", Categories: "3", CategoryFlags: []string{"4"}}, CleanTitles: "movielens"}},
}

// FuzzSources reads arbitrary files as every kind: what comes out has been checked, whatever went in.
func FuzzSources(f *testing.F) {
	rows := [][2]string{
		{"1\t2\t3\t4\n", "1|T|||" + strings.Repeat("|0", 19) + "\n"},
		{"1::2::3::4\n", "1::T::A|B\n"},
		{"userId,movieId,rating,timestamp\n1,2,3.5,4\n", "movieId,title,genres\n1,\"T, The (1999)\",A|B\n"},
		{"A,B,5.0,1294617600\n", "{'asin': 'B', 'title': \"T\", 'categories': [['a']]}\n"},
		{`{"reviewerID": "A", "asin": "B", "overall": 5.0, "unixReviewTime": 1}` + "\n", `{"asin": "B", "imageURLHighRes": ["u"]}` + "\n"},
		{"user_id,parent_asin,rating,timestamp\nA,B,5.0,1\n", `{"parent_asin": "B", "images": [{"large": "u"}]}` + "\n"},
		{`{"user_id": "A", "parent_asin": "B", "rating": 5, "timestamp": 1}` + "\n", `{"parent_asin": "B", "images": {"hi_res": [null]}}` + "\n"},
		{"1,2,3,4\n", "1,\"T\nU\",a|b,1\n"},
	}
	for i, r := range rows {
		f.Add(uint8(i), []byte(r[0]), []byte(r[1]))
	}
	f.Fuzz(func(t *testing.T, kind uint8, log, items []byte) {
		k := fuzzKinds[int(kind)%len(fuzzKinds)]
		dir := t.TempDir()
		for name, data := range map[string][]byte{k.log: log, k.items: items} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		k.options.Kind, k.options.Path = k.kind, dir
		src, err := Open(k.options)
		if err != nil {
			return
		}
		reject := Log{Reject: func(r Reject) {
			if len(r.Raw) > 200 || r.Row < 1 || r.Reason == "" {
				t.Errorf("%+v", r)
			}
		}}
		_ = src.Interactions(t.Context(), reject, func(in Interaction) error {
			if len(in.User) == 0 || len(in.Item) == 0 || !utf8.Valid(in.User) || !utf8.Valid(in.Item) || in.Timestamp < 0 || in.Timestamp > maxTimestamp || in.Rating-in.Rating != 0 {
				t.Errorf("%q %q %v %d", in.User, in.Item, in.Rating, in.Timestamp)
			}
			return nil
		})
		_ = src.Items(t.Context(), reject, func(item Item) error {
			if len(item.ID) == 0 || !utf8.Valid(item.ID) || !utf8.ValidString(item.Title) || !utf8.ValidString(item.ImageURL) {
				t.Errorf("%q %+v", item.ID, item)
			}
			return nil
		})
	})
}

func FuzzNumbers(f *testing.F) {
	for _, seed := range []string{"1", "1.5", "-3", "1e5", "9999999999999999", "0.1", ".", "", "NaN", "+Inf", "1_000", "0x1p3", "123456789012345.6"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, ok := parseFloat(text)
		want, wantOK := slowFloat(bytes.Clone(text))
		if ok && (!wantOK || got != want) {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
		if !ok && wantOK {
			t.Errorf("%q is refused", text)
		}
		for name, unit := range timeUnits {
			if ms, err := parseTimestamp(text, unit); err == nil && (ms < 0 || ms > maxTimestamp) {
				t.Errorf("%q %s: %d", text, name, ms)
			}
		}
	})
}
