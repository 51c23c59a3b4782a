package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"mllm4rec/data/source/literal"
	"mllm4rec/data/table"
	"mllm4rec/internal/fail"
)

// folder writes files; names that end in .gz are compressed.
func folder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		data := []byte(text)
		if strings.HasSuffix(name, ".gz") {
			var b bytes.Buffer
			w := gzip.NewWriter(&b)
			_, _ = w.Write(data)
			_ = w.Close()
			data = b.Bytes()
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// contents is all that a source tells, one line each.
type contents struct {
	interactions, items, rejects []string
}

func readSource(t testing.TB, o Options) (c contents, err error) {
	t.Helper()
	src, err := Open(o)
	if err != nil {
		return c, err
	}
	log := Log{Reject: func(r Reject) { c.rejects = append(c.rejects, fmt.Sprintf("%s:%d: %s", r.File, r.Row, r.Reason)) }}
	err = src.Interactions(t.Context(), log, func(in Interaction) error {
		c.interactions = append(c.interactions, fmt.Sprintf("%s %s %v %d", in.User, in.Item, in.Rating, in.Timestamp))
		return nil
	})
	if err != nil || !src.HasItems() {
		return c, err
	}
	err = src.Items(t.Context(), log, func(item Item) error {
		c.items = append(c.items, fmt.Sprintf("%s|%s|%s|%s", item.ID, item.Title, item.ImageURL, strings.Join(item.Categories, ",")))
		return nil
	})
	return c, err
}

func text(texts ...string) string { return strings.Join(texts, "\n") + "\n" }

func TestKinds(t *testing.T) {
	t.Parallel()
	flags := func(on ...int) string {
		fields := make([]string, 19)
		for i := range fields {
			fields[i] = "0"
		}
		for _, i := range on {
			fields[i] = "1"
		}
		return strings.Join(fields, "|")
	}
	for _, c := range []struct {
		name    string
		files   map[string]string
		options Options
		want    contents
	}{
		{"movielens 100k", map[string]string{
			"u.data": text("196\t242\t3\t881250949"),
			"u.item": text("242|Mis\xe9rables, Les (1995)|01-Jan-1995||http://x|" + flags(1, 5)),
		}, Options{Kind: "movielens"}, contents{
			[]string{"196 242 3 881250949000"}, []string{"242|Les Misérables (1995)||Action,Comedy"}, nil}},
		{"movielens 100k, one fold", map[string]string{
			"u1.base": text("196\t242\t3\t881250949"), "u.data": "other", "u.item": text("242|T (1995)|||" + "|" + flags()),
		}, Options{Kind: "movielens", Interactions: "u1.base", Items: "u.item"}, contents{
			[]string{"196 242 3 881250949000"}, []string{"242|T (1995)||"}, nil}},
		{"movielens 1m", map[string]string{
			"ratings.dat": text("1::1193::5::978300760"),
			"movies.dat":  text("1193::One :: Two (1975)::Drama|War"),
		}, Options{Kind: "movielens"}, contents{
			[]string{"1 1193 5 978300760000"}, []string{"1193|One :: Two (1975)||Drama,War"}, nil}},
		{"movielens csv", map[string]string{
			"ratings.csv": "userId,movieId,rating,timestamp\r\n1,2,4.5,964982703\r\n",
			"movies.csv":  "movieId,title,genres\n2,\"American President, The (1995)\",Comedy|Drama\n3,\"A \"\"B\"\" (1999)\",(no genres listed)\n",
		}, Options{Kind: "movielens"}, contents{
			[]string{"1 2 4.5 964982703000"}, []string{"2|The American President (1995)||Comedy,Drama", `3|A "B" (1999)||`}, nil}},
		{"amazon 2014 ratings", map[string]string{
			"ratings_X.csv":   text("A1,0000031887,5.0,1294617600"),
			"meta_X.json.gz":  text(`{'asin': '0000031887', 'related': {'also_bought': ['x', "y'"]}, 'title': u"Girl's \u00e9", 'price': 3.17, 'imUrl': 'http://i/I/51b._SY300_.jpg', 'categories': [['A', 'B'], ['A', 'C']]}`),
			"unrelated.jsonl": "x",
		}, Options{Kind: "amazon2014"}, contents{
			[]string{"A1 0000031887 5 1294617600000"}, []string{"0000031887|Girl's é|http://i/I/51b.jpg|A,B,C"}, nil}},
		{"amazon 2014 reviews", map[string]string{
			"reviews_X_5.json.gz": text(`{"reviewerID": "A1", "asin": "B1", "helpful": [0, 0], "reviewText": "a \"b\" {", "overall": 4.0, "unixReviewTime": 1294617600, "reviewTime": "01 10, 2011"}`),
		}, Options{Kind: "amazon2014"}, contents{interactions: []string{"A1 B1 4 1294617600000"}}},
		{"amazon 2018", map[string]string{
			"X.csv":       text("B1,A1,5.0,1294617600"),
			"meta_X.json": text(`{"category": ["A", "B"], "title": "T", "asin": "B1", "imageURL": ["http://small"], "imageURLHighRes": ["http://big", "http://big2"]}`, `{"asin": "B2", "title": [], "imageURL": ["http://small"], "imageURLHighRes": []}`),
		}, Options{Kind: "amazon2018"}, contents{
			[]string{"A1 B1 5 1294617600000"}, []string{"B1|T|http://big|A,B", "B2||http://small|"}, nil}},
		{"amazon 2018 reviews", map[string]string{
			"X_5.json.gz": text(`{"overall": 5.0, "verified": true, "reviewerID": "A1", "asin": "B1", "style": {"Size:": " 4"}, "unixReviewTime": 1294617600}`),
		}, Options{Kind: "amazon2018"}, contents{interactions: []string{"A1 B1 5 1294617600000"}}},
		{"amazon 2023 csv", map[string]string{
			"X.csv.gz":     text("user_id,parent_asin,rating,timestamp", "A1,B1,5.0,1454676557000"),
			"meta_X.jsonl": text(`{"title": "T", "images": [{"thumb": "t", "large": "l", "variant": "MAIN", "hi_res": null}, {"hi_res": "other"}], "categories": ["A"], "details": {"a": {}}, "parent_asin": "B1"}`, `{"parent_asin": "B2", "title": "U", "images": {"hi_res": ["h", "g"], "large": ["l"]}, "categories": []}`),
		}, Options{Kind: "amazon2023"}, contents{
			[]string{"A1 B1 5 1454676557000"}, []string{"B1|T|l|A", "B2|U|h|"}, nil}},
		{"amazon 2023 reviews", map[string]string{
			"X.jsonl": text(`{"rating": 5.0, "title": "x", "images": [], "asin": "C", "parent_asin": "B1", "user_id": "A1", "timestamp": 1588687728923, "helpful_vote": 0, "verified_purchase": true}`),
		}, Options{Kind: "amazon2023"}, contents{interactions: []string{"A1 B1 5 1588687728923"}}},
		{"csv", map[string]string{
			"log.tsv":   text("when\twho\twhat", "1500000\tu1\t\"i\"\"1\"", "1600000\tu2\ti2"),
			"items.tsv": text("id\tname\tgenre\tsci-fi", "i1\t\"two", "lines\"\tA;B\t1", "i2\tMatrix, The (1999)\t\t0"),
		}, Options{Kind: "csv", Interactions: "log.tsv", Items: "items.tsv", Delimiter: `\t`, CleanTitles: "movielens",
			Columns:     Columns{User: "who", Item: "what", Timestamp: "when", TimestampUnit: "us"},
			ItemColumns: ItemColumns{ID: "id", Title: "name", Categories: "genre", Separator: ";", CategoryFlags: []string{"sci-fi"}},
		}, contents{[]string{`u1 i"1 1 1500`, "u2 i2 1 1600"}, []string{"i1|two lines||A,B,sci-fi", "i2|The Matrix (1999)||"}, nil}},
		{"csv without header", map[string]string{"log": text("i1;u1;3", "i2;u1;4")},
			Options{Kind: "csv", Interactions: "log", Delimiter: ";", NoHeader: true, Columns: Columns{User: "2", Item: "1", Rating: "3"}},
			contents{interactions: []string{"u1 i1 3 1", "u1 i2 4 2"}}},
		{"csv without header, a quoted line end first, behind a byte order mark", map[string]string{"log": "\ufeff\"u\n1\",i1\n"},
			Options{Kind: "csv", Interactions: "log", NoHeader: true, Columns: Columns{User: "1", Item: "2"}},
			contents{interactions: []string{"u\n1 i1 1 1"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.options.Path = folder(t, c.files)
			got, err := readSource(t, c.options)
			if err != nil || fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("%v\n got %q\nwant %q", err, got, c.want)
			}
		})
	}
}

func TestBadRowsAreRejectedWithTheirPlaceAndReason(t *testing.T) {
	t.Parallel()
	good := "A,B,5.0,1294617600"
	for _, c := range []struct {
		name string
		row  string
		want Reason
	}{
		{"too few columns", "A,B,5.0", WrongColumns},
		{"too many columns", "A,B,5.0,1,2", WrongColumns},
		{"no user", ",B,5.0,1", EmptyUser},
		{"no item", "A,,5.0,1", EmptyItem},
		{"word for rating", "A,B,good,1", BadRating},
		{"no rating", "A,B,,1", BadRating},
		{"NaN rating", "A,B,NaN,1", BadRating},
		{"infinite rating", "A,B,1e999,1", BadRating},
		{"NaN timestamp", "A,B,5.0,NaN", BadTimestamp},
		{"word for timestamp", "A,B,5.0,2011-01-01", BadTimestamp},
		{"no timestamp", "A,B,5.0,", NoTimestamp},
		{"negative timestamp", "A,B,5.0,-1", EarlyTimestamp},
		{"huge timestamp", "A,B,5.0,99999999999999999999999", LateTimestamp},
		{"milliseconds for seconds", "A,B,5.0,1294617600000", LateTimestamp},
		{"long timestamp", "A,B,5.0," + strings.Repeat("0", 64) + "1294617600", BadTimestamp},
		{"invalid UTF-8", "A\xff,B,5.0,1", InvalidUTF8},
		{"long id", strings.Repeat("A", 2000) + ",B,5.0,1", IDTooLong},
		{"long line", strings.Repeat("A", 17<<20), LineTooLong},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := folder(t, map[string]string{"ratings_X.csv": text(good, c.row, good)})
			got, err := readSource(t, Options{Kind: "amazon2014", Path: dir})
			if err != nil {
				t.Fatal(err)
			}
			if want := "ratings_X.csv:2: " + string(c.want); len(got.rejects) != 1 || got.rejects[0] != want {
				t.Errorf("%q, want %s", got.rejects, want)
			}
			if len(got.interactions) != 2 {
				t.Errorf("%d rows", len(got.interactions))
			}
		})
	}
}

func TestStrayQuoteCostsOneRow(t *testing.T) {
	t.Parallel()
	log := "user,item\nu1,\"i1\n" + strings.Repeat("u2,i2\n", 20_000)
	dir := folder(t, map[string]string{"log.csv": log})
	got, err := readSource(t, Options{Kind: "csv", Path: dir, Interactions: "log.csv", Columns: Columns{User: "user", Item: "item"}})
	if err != nil || len(got.interactions) != 20_000 || len(got.rejects) != 1 || got.rejects[0] != "log.csv:2: "+string(OpenQuote) {
		t.Errorf("%v, %d rows, %q", err, len(got.interactions), got.rejects)
	}
}

func TestMovieLensIsFoundInTheOneFolderBelow(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"ml-1", "ml-2"} {
		files := map[string]string{"u.data": text("1\t2\t3\t4"), "u.item": "x"}
		if err := os.Rename(folder(t, files), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		src, err := Open(Options{Kind: "movielens", Path: dir})
		if name == "ml-1" && (err != nil || src.Files()[0] != filepath.Join(dir, "ml-1", "u.data")) {
			t.Errorf("one: %v, %v", src, err)
		}
		if name == "ml-2" && (!fail.IsUsage(err) || !strings.Contains(err.Error(), "name one of the folders")) {
			t.Errorf("two: %v, %v", src, err)
		}
	}
}

func TestTimeGrowsWithTheLinesBehindAStrayQuote(t *testing.T) {
	t.Parallel()
	log := "user,item\nu1,i1\nu2,\"i2" + strings.Repeat("\n", 70_000) + "u3,i3\n"
	dir, start := folder(t, map[string]string{"log.csv": log}), time.Now()
	got, err := readSource(t, Options{Kind: "csv", Path: dir, Interactions: "log.csv", Columns: Columns{User: "user", Item: "item"}})
	if err != nil || fmt.Sprint(got.interactions, got.rejects) != "[u1 i1 1 1 u3 i3 1 2] [log.csv:3: quote is not closed]" {
		t.Errorf("%v, %q", err, got)
	}
	if took := time.Since(start); took > 2*time.Second { // milliseconds; seconds with their square
		t.Errorf("one stray quote took %s", took)
	}
}

func TestInvalidTextsOfFilmsAreRejected(t *testing.T) {
	t.Parallel()
	for _, row := range []string{"2,T\xff,Drama", "2,T,Drama\xff"} {
		dir := folder(t, map[string]string{
			"ratings.csv": text("userId,movieId,rating,timestamp", "1,2,4.5,964982703"), "movies.csv": text("movieId,title,genres", "1,T,", row),
		})
		got, err := readSource(t, Options{Kind: "movielens", Path: dir})
		if err != nil || fmt.Sprint(got.rejects) != "[movies.csv:3: invalid UTF-8]" {
			t.Errorf("%q: %v, %q", row, err, got)
		}
	}
}

func TestUnusableFilesAreExplained(t *testing.T) {
	t.Parallel()
	row := "A,B,5.0,1294617600\n"
	zipped := folder(t, map[string]string{"ratings_X.csv.gz": strings.Repeat(row, 10_000)})
	whole, err := os.ReadFile(filepath.Join(zipped, "ratings_X.csv.gz"))
	if err != nil {
		t.Fatal(err)
	}
	columns := Columns{User: "u", Item: "i"}
	for _, c := range []struct {
		name    string
		files   map[string]string
		options Options
		want    string
	}{
		{"empty file", map[string]string{"ratings_X.csv": ""}, Options{Kind: "amazon2014"}, "is empty"},
		{"blank file", map[string]string{"ratings_X.csv": "\n\n"}, Options{Kind: "amazon2014"}, "no rows"},
		{"empty gzip", map[string]string{"ratings_X.csv.gz": ""}, Options{Kind: "amazon2014"}, "no rows"},
		{"cut gzip", map[string]string{"ratings_X.csv": string(whole[:len(whole)/2])}, Options{Kind: "amazon2014"}, "ends early"},
		{"cut gzip header", map[string]string{"ratings_X.csv": string(whole[:5])}, Options{Kind: "amazon2014"}, "fetch it again"},
		{"wrong format", map[string]string{"ratings_X.csv": "<html>\n<body>\nNot found\n"}, Options{Kind: "amazon2014"}, "3 of 3 rows are bad"},
		{"mostly wrong format", map[string]string{"ratings_X.csv": "<html>\n<body>\n" + row}, Options{Kind: "amazon2014"}, "2 of 3 rows are bad (row 2: wrong number of columns)"},
		{"wrong unit", map[string]string{"X.csv": strings.Repeat("A,B,5.0,1294617600000\n", 9)}, Options{Kind: "amazon2018"}, "wrong unit?"},
		{"no files", map[string]string{"x": ""}, Options{Kind: "movielens"}, "no ratings.csv"},
		{"no metadata", map[string]string{"ratings.csv": "x"}, Options{Kind: "movielens"}, "movies.csv"},
		{"several files", map[string]string{"ratings_X.csv": row, "ratings_Y.csv": row}, Options{Kind: "amazon2014"}, "ratings_X.csv, ratings_Y.csv"},
		{"wrong header", map[string]string{"ratings.csv": row, "movies.csv": "x"}, Options{Kind: "movielens"}, "wanted \"userId"},
		{"missing file", nil, Options{Kind: "csv", Interactions: "x.csv", Columns: columns}, "no such file"},
		{"folder for file", nil, Options{Kind: "csv", Interactions: ".", Columns: columns}, "is a folder"},
		{"missing column", map[string]string{"x.csv": "u,j\n1,2\n"}, Options{Kind: "csv", Interactions: "x.csv", Columns: columns}, `no column "i"; the file has: u, j`},
		{"no table", map[string]string{"x.csv": "\x1b[2J" + strings.Repeat("x", 1000) + "\n1,2\n"}, Options{Kind: "csv", Interactions: "x.csv", Columns: columns}, `the file has: \x1b[2J` + strings.Repeat("x", 496)},
		{"UTF-16", map[string]string{"x.csv": "\xff\xfeu\x00,\x00i\x00\n\x001\x00,\x002\x00"}, Options{Kind: "csv", Interactions: "x.csv", Columns: columns}, `"\xff\xfeu\x00,\x00i\x00": no CSV, or not in UTF-8`},
		{"no column map", map[string]string{"x.csv": row}, Options{Kind: "csv", Interactions: "x.csv"}, "data.columns.user"},
		{"long delimiter", map[string]string{"x.csv": row}, Options{Kind: "csv", Interactions: "x.csv", Columns: columns, Delimiter: "::"}, "delimiter"},
		{"unknown unit", map[string]string{"x.csv": row}, Options{Kind: "csv", Interactions: "x.csv", Columns: Columns{User: "u", Item: "i", TimestampUnit: "h"}}, "timestamp_unit"},
		{"no parquet", map[string]string{"x.parquet": strings.Repeat(row, 9)}, Options{Kind: "parquet", Interactions: "x.parquet", Columns: columns}, "PAR1"},
		{"unknown kind", nil, Options{Kind: "netflix"}, "choose movielens"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.options.Path = folder(t, c.files)
			_, err := readSource(t, c.options)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v, want … %s …", err, c.want)
			}
			if !fail.IsUsage(err) || strings.Contains(err.Error(), "\n") {
				t.Errorf("no one-line usage error: %v", err)
			}
		})
	}
}

func TestParquetOfOthers(t *testing.T) {
	t.Parallel()
	type logRow struct {
		User *float64 `parquet:"u,optional"`
		Item string   `parquet:"i"`
		When int64    `parquet:"t,timestamp(microsecond)"`
		Rate int32    `parquet:"r"`
	}
	type itemRow struct {
		ID    string   `parquet:"id"`
		Name  *string  `parquet:"name,optional"`
		Tags  []string `parquet:"tags,list"`
		Drama int64    `parquet:"drama"`
	}
	dir, one, name := t.TempDir(), 1.0, "Matrix, The (1999)"
	if err := table.WriteAll(filepath.Join(dir, "log.parquet"), []logRow{{&one, "a", 1500000, 4}, {nil, "b", 1, 5}, {&one, "b", -5, 5}, {&one, "c", 2000, 3}}); err != nil {
		t.Fatal(err)
	}
	if err := table.WriteAll(filepath.Join(dir, "items.parquet"), []itemRow{{"a", &name, []string{"x", "y"}, 1}, {"b", nil, nil, 0}}); err != nil {
		t.Fatal(err)
	}
	o := Options{Kind: "parquet", Path: dir, Interactions: "log.parquet", Items: "items.parquet", CleanTitles: "movielens",
		Columns:     Columns{User: "u", Item: "i", Rating: "r", Timestamp: "t"},
		ItemColumns: ItemColumns{ID: "id", Title: "name", Categories: "tags", CategoryFlags: []string{"drama"}}}
	got, err := readSource(t, o)
	want := contents{[]string{"1 a 4 1500", "1 c 3 2"}, []string{"a|The Matrix (1999)||x,y,drama", "b|||"},
		[]string{"log.parquet:2: no user", "log.parquet:3: timestamp is negative"}}
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v\n got %q\nwant %q", err, got, want)
	}
	o.Columns.User = "nobody"
	if _, err := readSource(t, o); err == nil || !strings.Contains(err.Error(), `no column "nobody"; the file has: u, i, t, r`) {
		t.Error(err)
	}
}

func TestParquetNumbersWithoutSignStayPositive(t *testing.T) {
	t.Parallel()
	type row struct {
		User uint64 `parquet:"u"`
		Item uint32 `parquet:"i"`
	}
	dir := t.TempDir()
	if err := table.WriteAll(filepath.Join(dir, "log.parquet"), []row{{1<<64 - 5, 1<<32 - 7}, {5, 7}}); err != nil {
		t.Fatal(err)
	}
	got, err := readSource(t, Options{Kind: "parquet", Path: dir, Interactions: "log.parquet", Items: "log.parquet",
		Columns: Columns{User: "u", Item: "i"}, ItemColumns: ItemColumns{ID: "i"}})
	want := contents{interactions: []string{"18446744073709551611 4294967289 1 1", "5 7 1 2"}, items: []string{"4294967289|||", "7|||"}}
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v\n got %q\nwant %q", err, got, want)
	}
}

func TestOneColumnMayBeSeveralTexts(t *testing.T) {
	t.Parallel()
	type row struct {
		ID   string `parquet:"id"`
		Name string `parquet:"name"`
	}
	dir := folder(t, map[string]string{"items.csv": "id,name\na,cup.jpg\n"})
	if err := table.WriteAll(filepath.Join(dir, "items.parquet"), []row{{"a", "cup.jpg"}}); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"csv", "parquet"} {
		file := "items." + kind
		src, err := Open(Options{Kind: kind, Path: dir, Interactions: file, Items: file, Columns: Columns{User: "id", Item: "id"},
			ItemColumns: ItemColumns{ID: "id", Title: "name", ImageURL: "name", ImagePath: "name"}})
		if err != nil {
			t.Fatal(err)
		}
		err = src.Items(t.Context(), Log{Reject: func(r Reject) { t.Error(r) }}, func(item Item) error {
			if item.Title != "cup.jpg" || item.ImageURL != "cup.jpg" || item.ImagePath != "cup.jpg" {
				t.Errorf("%s: %+v", kind, item)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func TestParquetDatesAreDaysAndDecimalsAreRefused(t *testing.T) {
	t.Parallel()
	type row struct {
		User string `parquet:"u"`
		Day  int32  `parquet:"day,date"`
		Rate int64  `parquet:"rate,decimal(1:18)"`
	}
	dir := t.TempDir()
	if err := table.WriteAll(filepath.Join(dir, "log.parquet"), []row{{"a", 19_000, 45}}); err != nil {
		t.Fatal(err)
	}
	o := Options{Kind: "parquet", Path: dir, Interactions: "log.parquet", Columns: Columns{User: "u", Item: "u", Timestamp: "day"}}
	got, err := readSource(t, o)
	if err != nil || fmt.Sprint(got.interactions) != "[a a 1 1641600000000]" {
		t.Errorf("%v, %q", err, got)
	}
	o.Columns.Rating = "rate"
	if got, err := readSource(t, o); !fail.IsUsage(err) || !strings.Contains(err.Error(), `"rate" is DECIMAL`) {
		t.Errorf("%v, %q", err, got)
	}
}

func TestReadingStopsWithTheContext(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"ratings_X.csv": strings.Repeat("A,B,5.0,1294617600\n", 20_000)})
	src, err := Open(Options{Kind: "amazon2014", Path: dir})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	rows := 0
	err = src.Interactions(ctx, Log{}, func(Interaction) error { rows++; cancel(); return nil })
	if !errors.Is(err, context.Canceled) || rows > 2*ctxRows {
		t.Errorf("%v after %d rows", err, rows)
	}
}

func TestAmazonPicturesComeInTheirLargestSize(t *testing.T) {
	t.Parallel()
	const host = "http://ecx.images-amazon.com/images/"
	for _, c := range []struct{ kind, picture, want string }{
		{"amazon2014", `'imUrl': '` + host + `I/51bM7._SY300_.jpg'`, host + "I/51bM7.jpg"},
		{"amazon2014", `'imUrl': '` + host + `I/51bM7._SX342_QL70_.jpg'`, host + "I/51bM7.jpg"},
		{"amazon2014", `'imUrl': '` + host + `I/51bM7._BO1,204,203,200_PIsitb_SX300_.jpg'`, host + "I/51bM7.jpg"},
		{"amazon2014", `'imUrl': '` + host + `I/51bM7.jpg'`, host + "I/51bM7.jpg"},
		{"amazon2014", `'imUrl': '` + host + `G/01/icons/no-img-sm._CB192198896_.gif'`, host + "G/01/icons/no-img-sm._CB192198896_.gif"},
		{"amazon2014", `'imUrl': 'http://a._SY300_.b/c'`, "http://a._SY300_.b/c"},
		{"amazon2018", `"imageURL": ["` + host + `I/a._SX38_SY50_CR,0,0,38,50_.jpg"]`, host + "I/a.jpg"},
		{"amazon2018", `"imageURL": ["` + host + `I/a._US40_.jpg"], "imageURLHighRes": ["` + host + `I/a.jpg", "` + host + `I/b.jpg"]`, host + "I/a.jpg"},
		{"amazon2023", `"images": [{"thumb": "` + host + `I/a._AC_US75_.jpg", "large": "` + host + `I/a._AC_.jpg", "hi_res": "` + host + `I/a._SL1500_.jpg"}]`, host + "I/a._SL1500_.jpg"},
		{"amazon2023", `"images": [{"thumb": "` + host + `I/a._AC_US75_.jpg", "large": null, "hi_res": null}]`, host + "I/a.jpg"},
	} {
		p := &metaParser{keys: metaKeys[c.kind], seen: map[string]bool{}}
		if c.kind == "amazon2014" {
			p.dialect = literal.Python
		} else {
			p.dialect = literal.JSON
		}
		item, err := p.parse([]byte("{" + c.picture + "}"))
		if err != nil || item.ImageURL != c.want {
			t.Errorf("%s: %s: got %s, %v, want %s", c.kind, c.picture, item.ImageURL, err, c.want)
		}
	}
}
