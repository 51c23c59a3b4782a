package source

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"mllm4rec/internal/fail"
)

// movieLens reads the MovieLens data sets. Their README files say what is in them: user, movie, rating, seconds since 1970.
//
//	100k                             u.data (tabs), u.item (|, Latin-1, 19 genre flags)
//	1m, 10m                          ratings.dat, movies.dat (::; Latin-1 in 1m, UTF-8 in 10m)
//	latest-small, 20m, 25m, 32m, …   ratings.csv, movies.csv
type movieLens struct {
	pair
	form movieLensForm
}

type movieLensForm int

const (
	formCSV movieLensForm = iota
	formDat
	form100k
)

var movieLensFiles = []struct {
	ratings, movies string
	form            movieLensForm
}{
	{"u.data", "u.item", form100k},
	{"ratings.dat", "movies.dat", formDat},
	{"ratings.csv", "movies.csv", formCSV},
}

const movieLensHint = "Is data.path a MovieLens folder as it was unpacked?"

func openMovieLens(o Options) (Source, error) {
	if info, err := os.Stat(o.Path); err != nil {
		return nil, fail.Usagef("source: %w: check data.path", err)
	} else if !info.IsDir() {
		return nil, fail.Usagef("source: %s is no folder: name the folder with ratings.csv, ratings.dat or u.data in it", o.Path)
	}
	if (o.Interactions == "") != (o.Items == "") {
		return nil, fail.Usagef("source: movielens needs data.interactions and data.items, or neither")
	}
	if o.Items != "" {
		m := movieLens{o.named(), formOf(o.Interactions)}
		return m, m.check()
	}
	if m, ok := movieLensIn(o.Path); ok {
		return m, m.check()
	}
	var found []movieLens
	for _, dir := range subfolders(o.Path) { // the archives unpack into a folder of their own
		if m, ok := movieLensIn(dir); ok {
			found = append(found, m)
		}
	}
	switch len(found) {
	case 0:
		return nil, fail.Usagef("source: no ratings.csv, ratings.dat or u.data in %s: is it a MovieLens folder?", o.Path)
	case 1:
		return found[0], found[0].check()
	}
	return nil, fail.Usagef("source: %s and %s are both MovieLens data: name one of the folders as data.path", found[0].interactions, found[1].interactions)
}

// movieLensIn finds the files in a folder.
func movieLensIn(dir string) (m movieLens, ok bool) {
	for _, f := range movieLensFiles {
		m := movieLens{pair{filepath.Join(dir, f.ratings), filepath.Join(dir, f.movies)}, f.form}
		if _, err := os.Stat(m.interactions); err == nil {
			return m, true
		}
	}
	return movieLens{}, false
}

// formOf tells the form of a named file: ratings.csv, ratings.dat, or the likes of u.data and u1.base.
func formOf(name string) movieLensForm {
	switch filepath.Ext(name) {
	case ".csv":
		return formCSV
	case ".dat":
		return formDat
	}
	return form100k
}

func subfolders(dir string) (dirs []string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if e.IsDir() {
			dirs = append(dirs, filepath.Join(dir, e.Name()))
		}
	}
	return dirs
}

// Interactions implements Source.
func (m movieLens) Interactions(ctx context.Context, log Log, row func(Interaction) error) error {
	file := textFile{path: m.interactions, hint: movieLensHint}
	s := splitter{delimiter: '\t'}
	split := s.plain
	switch m.form {
	case formCSV:
		s.delimiter = ','
		file.header = func(line []byte) error { return wantHeader(line, "userId,movieId,rating,timestamp") }
	case formDat:
		split = func(line []byte) [][]byte { return splitDat(&s, line) }
	}
	return file.each(ctx, log, func(line []byte) error {
		fields := split(line)
		if len(fields) != 4 {
			return WrongColumns
		}
		return emit(fields[0], fields[1], fields[2], fields[3], timeUnits["s"], row)
	})
}

func wantHeader(line []byte, want string) error {
	if string(line) != want {
		return fail.Usagef("the first line is %q, wanted %q: %s", cut(line), want, movieLensHint)
	}
	return nil
}

// splitDat splits at "::".
func splitDat(s *splitter, line []byte) [][]byte {
	s.fields = s.fields[:0]
	for {
		i := bytes.Index(line, []byte("::"))
		if i < 0 {
			s.fields = append(s.fields, line)
			return s.fields
		}
		s.fields = append(s.fields, line[:i])
		line = line[i+2:]
	}
}

// emit checks the four fields of a rating and hands them on.
func emit(user, item, rating, timestamp []byte, unit timeUnit, row func(Interaction) error) error {
	if err := checkID(user, EmptyUser); err != nil {
		return err
	}
	if err := checkID(item, EmptyItem); err != nil {
		return err
	}
	stars, err := parseRating(rating)
	if err != nil {
		return err
	}
	ms, err := parseTimestamp(timestamp, unit)
	if err != nil {
		return err
	}
	return row(Interaction{User: user, Item: item, Rating: stars, Timestamp: ms})
}

// Items implements Source.
func (m movieLens) Items(ctx context.Context, log Log, row func(Item) error) error {
	file := textFile{path: m.items, hint: movieLensHint}
	parse := parseUItem
	switch m.form {
	case formDat:
		parse = func(_ *splitter, line []byte) (Item, error) { return parseMoviesDat(line) }
	case formCSV:
		parse = parseMoviesCSV
		file.quote, file.delimiter = true, ','
		file.header = func(line []byte) error { return wantHeader(line, "movieId,title,genres") }
	}
	s := &splitter{delimiter: ','}
	return file.each(ctx, log, func(line []byte) error {
		item, err := parse(s, toUTF8(line, m.form))
		if err != nil {
			return err
		}
		if err := checkID(item.ID, EmptyItem); err != nil {
			return err
		}
		return emitItem(item, "movielens", row)
	})
}

// toUTF8 decodes Latin-1 lines of the older data sets.
func toUTF8(line []byte, form movieLensForm) []byte {
	if form == formCSV || utf8.Valid(line) {
		return line
	}
	out := make([]byte, 0, len(line)+16)
	for _, c := range line {
		out = utf8.AppendRune(out, rune(c))
	}
	return out
}

func parseMoviesCSV(s *splitter, line []byte) (Item, error) {
	fields, ok := s.csv(line)
	if !ok {
		return Item{}, OpenQuote
	}
	if len(fields) != 3 {
		return Item{}, WrongColumns
	}
	return Item{ID: fields[0], Title: string(fields[1]), Categories: genres(fields[2])}, nil
}

// parseMoviesDat splits "id::title::genres"; a title may hold "::".
func parseMoviesDat(line []byte) (Item, error) {
	id, rest, ok := bytes.Cut(line, []byte("::"))
	last := bytes.LastIndex(rest, []byte("::"))
	if !ok || last < 0 {
		return Item{}, WrongColumns
	}
	return Item{ID: id, Title: string(rest[:last]), Categories: genres(rest[last+2:])}, nil
}

func genres(field []byte) []string {
	if len(field) == 0 || string(field) == "(no genres listed)" {
		return nil
	}
	return strings.Split(string(field), "|")
}

// movieLens100kGenres are the flags at the end of a line of u.item, as u.genre lists them.
var movieLens100kGenres = []string{"unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary",
	"Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"}

// parseUItem reads "id|title|release date|video release date|IMDb address|19 flags".
func parseUItem(s *splitter, line []byte) (Item, error) {
	s.delimiter = '|'
	fields := s.plain(line)
	if len(fields) != 5+len(movieLens100kGenres) {
		return Item{}, WrongColumns
	}
	item := Item{ID: fields[0], Title: string(fields[1])}
	for i, name := range movieLens100kGenres {
		switch string(fields[5+i]) {
		case "1":
			item.Categories = append(item.Categories, name)
		case "0":
		default:
			return Item{}, BadFlag
		}
	}
	return item, nil
}
