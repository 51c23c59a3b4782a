package source

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"

	"mllm4rec/data/source/lines"
	"mllm4rec/internal/fail"
)

// amazon reads the three releases of the Amazon review data. Each file may also be gzip.
//
//	2014  ratings_X.csv (user,item,rating,seconds) or reviews_X_5.json; meta_X.json of Python literals
//	2018  X.csv (item,user,rating,seconds) or X_5.json; meta_X.json of JSON
//	2023  X.csv (header user_id,parent_asin,rating,timestamp in milliseconds) or X.jsonl; meta_X.jsonl
type amazon struct {
	pair
	release amazonRelease
	csv     bool // the interactions are CSV, not JSON lines
}

type amazonRelease struct {
	kind         string
	interactions []string // patterns of file names
	items        []string
	hint         string
}

var amazonReleases = map[string]amazonRelease{
	"amazon2014": {
		kind:         "amazon2014",
		interactions: []string{"ratings_*.csv", "ratings_*.csv.gz", "reviews_*.json", "reviews_*.json.gz"},
		items:        []string{"meta_*.json", "meta_*.json.gz"},
		hint:         "Is it a file of the 2014 release (ratings_X.csv, reviews_X_5.json.gz, meta_X.json.gz)?",
	},
	"amazon2018": {
		kind:         "amazon2018",
		interactions: []string{"*.csv", "*.csv.gz", "*.json", "*.json.gz"},
		items:        []string{"meta_*.json", "meta_*.json.gz"},
		hint:         "Is it a file of the 2018 release (X.csv, X_5.json.gz, meta_X.json.gz)?",
	},
	"amazon2023": {
		kind:         "amazon2023",
		interactions: []string{"*.csv", "*.csv.gz", "*.jsonl", "*.jsonl.gz"},
		items:        []string{"meta_*.jsonl", "meta_*.jsonl.gz"},
		hint:         "Is it a file of the 2023 release (X.csv.gz, X.jsonl.gz, meta_X.jsonl.gz)?",
	},
}

func openAmazon(o Options) (Source, error) {
	a := amazon{release: amazonReleases[o.Kind]}
	info, err := os.Stat(o.Path)
	switch {
	case err != nil:
		return nil, fail.Usagef("source: %w: check data.path", err)
	case !info.IsDir():
		return nil, fail.Usagef("source: %s is no folder: name the folder, and the files with data.interactions and data.items", o.Path)
	}
	isMeta := func(name string) bool { return strings.HasPrefix(name, "meta_") }
	if a.interactions, err = pick(o.Path, o.Interactions, isMeta, a.release.interactions); err != nil {
		return nil, err
	}
	if a.items, err = pick(o.Path, o.Items, nil, a.release.items); err != nil {
		return nil, err
	}
	if a.interactions == "" {
		return nil, fail.Usagef("source: no %s in %s", strings.Join(a.release.interactions, ", "), o.Path)
	}
	if err := a.check(); err != nil {
		return nil, err
	}
	a.csv, err = looksLikeCSV(a.interactions)
	return a, err
}

// pick is the named file, or the one that matches.
func pick(dir, name string, skip func(name string) bool, patterns []string) (string, error) {
	if name != "" {
		return filepath.Join(dir, name), nil
	}
	return find(dir, skip, patterns...)
}

// looksLikeCSV reports whether a file begins with something else than an object.
func looksLikeCSV(path string) (bool, error) {
	file, err := lines.Open(path, nil)
	if err != nil {
		return false, textFile{path: path}.explain(err, 0)
	}
	defer func() { _ = file.Close() }()
	first := make([]byte, 64)
	n, _ := file.Read(first)
	return !bytes.HasPrefix(bytes.TrimSpace(bytes.TrimPrefix(first[:n], utf8BOM)), []byte("{")), nil
}

// Interactions implements Source.
func (a amazon) Interactions(ctx context.Context, log Log, row func(Interaction) error) error {
	switch {
	case !a.csv:
		return a.reviews(ctx, log, row)
	case a.release.kind == "amazon2023":
		c := csvSource{delimiter: ','}
		r := c.reader(a.interactions, "user_id", "parent_asin", "rating", "timestamp")
		r.file.hint = a.release.hint
		return r.rows(ctx, log, false, func(f [][]byte) error {
			return emit(f[0], f[1], f[2], f[3], timeUnits["ms"], row)
		})
	}
	s := splitter{delimiter: ','}
	user, item := 0, 1
	if a.release.kind == "amazon2018" {
		user, item = 1, 0
	}
	file := textFile{path: a.interactions, hint: a.release.hint}
	return file.each(ctx, log, func(line []byte) error {
		f := s.plain(line)
		if len(f) != 4 {
			return WrongColumns
		}
		return emit(f[user], f[item], f[2], f[3], timeUnits["s"], row)
	})
}
