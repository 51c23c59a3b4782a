// Package source reads raw interaction logs and item metadata as they are published: MovieLens (100k original files, 1m,
// 10m, latest-small, 20m, 25m, 32m), Amazon reviews 2014, 2018 and 2023, and anyone's own CSV or Parquet. Out come
// interactions and items with the ids of the source; package prepare makes tables of them.
//
// A data file is untrusted: it is parsed, never evaluated; a bad row is handed to Log.Reject with its place and reason and
// does not stop the reading; a file with more bad rows than good ones is of the wrong format and does. Memory does not
// grow with the size of a file.
package source

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mllm4rec/internal/fail"
	"mllm4rec/internal/glob"
	"mllm4rec/internal/progress"
)

// Options say what to read. The zero value of a field that a kind does not use is required.
type Options struct {
	// Kind is movielens, amazon2014, amazon2018, amazon2023, csv or parquet.
	Kind string
	// Path is the folder of the files. movielens and amazon… find their files in it.
	Path string
	// Interactions and Items name files in Path. They are needed for csv and parquet (Items may be empty: no metadata);
	// elsewhere they overrule what would be found, for movielens both or neither.
	Interactions, Items string
	// Columns and ItemColumns map the columns of csv and parquet files.
	Columns     Columns
	ItemColumns ItemColumns
	// Delimiter separates the fields of csv files, one byte or `\t`; empty means a comma.
	Delimiter string
	// NoHeader says that csv files have no line of names; columns are then named by number, from "1".
	NoHeader bool
	// CleanTitles is "movielens" to rewrite titles as CleanMovieTitle does, or empty. The movielens kind always does.
	CleanTitles string
}

// Columns name the columns of an interaction file.
type Columns struct {
	User, Item string
	// Rating may be empty: every interaction then counts as 1.
	Rating string
	// Timestamp may be empty: the order of the rows is then the order in time.
	Timestamp string
	// TimestampUnit is s (also if empty), ms, us or ns. Parquet TIMESTAMP columns know their own unit.
	TimestampUnit string
}

// ItemColumns name the columns of an item file. All but ID may be empty.
type ItemColumns struct {
	ID, Title, ImageURL, ImagePath string
	// Categories is a text column split at Separator, or a Parquet list of text.
	Categories string
	// Separator is "|" if empty.
	Separator string
	// CategoryFlags are columns of 0 and 1; an item's categories are the names of those that are 1.
	CategoryFlags []string
}

// Interaction is one row of a log. User and Item are valid during the call only.
type Interaction struct {
	User, Item []byte
	Rating     float32
	Timestamp  int64 // milliseconds since 1970-01-01 UTC
}

// Item is the metadata of one item. ID is valid during the call only.
type Item struct {
	ID         []byte
	Title      string
	ImageURL   string
	ImagePath  string
	Categories []string
}

// Reject is a row that could not be used. Raw is valid during the call only, and at most 200 bytes long.
type Reject struct {
	File   string
	Row    int64 // from 1; lines in text files
	Reason Reason
	Raw    []byte
}

// Log is told what happens while a source is read.
type Log struct {
	// Reject is called for every bad row. It must not be nil.
	Reject func(Reject)
	// Progress shows how far the reading is. Nil is silent.
	Progress *progress.Printer
}

// Source is an opened data set. It may be read again and again, by one goroutine at a time.
type Source interface {
	// Interactions calls row for every interaction, in the order of the files. An error of row ends the reading.
	Interactions(ctx context.Context, log Log, row func(Interaction) error) error
	// Items calls row for every item of the metadata, in the order of the file. An item may come twice.
	Items(ctx context.Context, log Log, row func(Item) error) error
	// HasItems reports whether there is metadata at all.
	HasItems() bool
	// Files are the files that are read, for fingerprints.
	Files() []string
}

// Kinds are the values of Options.Kind.
var Kinds = []string{"movielens", "amazon2014", "amazon2018", "amazon2023", "csv", "parquet"}

// Open finds the files of a data set and checks that they can be read. Errors are for the user: which file, what to do.
func Open(o Options) (Source, error) {
	if o.Path == "" {
		return nil, fail.Usagef("source: no path: name the folder with the data")
	}
	if o.CleanTitles != "" && o.CleanTitles != "movielens" {
		return nil, fail.Usagef("source: data.clean_titles is %q: leave it empty or say movielens", o.CleanTitles)
	}
	switch o.Kind {
	case "movielens":
		return openMovieLens(o)
	case "amazon2014", "amazon2018", "amazon2023":
		return openAmazon(o)
	case "csv":
		return openCSV(o)
	case "parquet":
		return openParquet(o)
	}
	return nil, fail.Usagef("source: data.source is %q: choose %s", o.Kind, strings.Join(Kinds, ", "))
}

// pair is what all kinds have in common: two files, the second of which may be missing.
type pair struct{ interactions, items string }

func (p pair) HasItems() bool { return p.items != "" }

func (p pair) Files() []string {
	if p.items == "" {
		return []string{p.interactions}
	}
	return []string{p.interactions, p.items}
}

// check makes sure at the start that the files are there and are files.
func (p pair) check() error {
	for _, path := range p.Files() {
		info, err := os.Stat(path)
		switch {
		case err != nil:
			return fail.Usagef("source: %w: check data.path and the file names in the recipe", err)
		case info.IsDir():
			return fail.Usagef("source: %s is a folder: name the file in it", path)
		case info.Size() == 0:
			return fail.Usagef("source: %s is empty", path)
		}
	}
	return nil
}

// named is the pair of files that the options name.
func (o Options) named() pair {
	p := pair{interactions: filepath.Join(o.Path, o.Interactions)}
	if o.Items != "" {
		p.items = filepath.Join(o.Path, o.Items)
	}
	return p
}

// find returns the one file in dir that matches one of the patterns, the first pattern first, leaving out names for
// which skip is true. No match is "".
func find(dir string, skip func(name string) bool, patterns ...string) (string, error) {
	for _, pattern := range patterns {
		found, err := glob.In(dir, pattern)
		if err != nil {
			return "", err
		}
		found = slices.DeleteFunc(found, func(path string) bool { return skip != nil && skip(filepath.Base(path)) })
		if len(found) > 1 {
			return "", fail.Usagef("source: %s holds several files that could be meant: %s: name one in the recipe",
				dir, strings.Join(baseNames(found), ", "))
		}
		if len(found) == 1 {
			return found[0], nil
		}
	}
	return "", nil
}

func baseNames(paths []string) (names []string) {
	for _, path := range paths {
		names = append(names, filepath.Base(path))
	}
	return names
}
