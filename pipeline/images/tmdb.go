package images

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"

	"mllm4rec/data/table"
	"mllm4rec/internal/fail"
	"mllm4rec/internal/web"
)

// TMDbKey names the environment variable with TMDb's API key, an API key (v3) or an API read access token (v4).
const TMDbKey = "TMDB_API_KEY"

const (
	tmdbAPI     = "https://api.themoviedb.org"
	tmdbPosters = "https://image.tmdb.org"
	// maxAnswer bounds an answer of the API in bytes; a page of 20 films has about 20,000.
	maxAnswer = 1 << 20
)

// tmdb are the posters of films in The Movie Database (developer.themoviedb.org, version 3 of the API): the key is title
// and year, as "Alien (1979)".
type tmdb struct {
	api, posters         *web.Client
	apiBase, postersBase string
	key                  string
}

func openTMDb(o Options) (*tmdb, error) {
	if o.TMDbKey == "" {
		return nil, fail.Usagef("images.source tmdb needs an API key of TMDb in the environment variable %s", TMDbKey)
	}
	api := o.web()
	api.MaxBytes, api.NoRedirects = maxAnswer, true // nobody but TMDb gets the key
	return &tmdb{
		api: web.New(api), posters: web.New(o.web()), key: o.TMDbKey,
		apiBase: cmp.Or(o.tmdbBase, tmdbAPI), postersBase: cmp.Or(o.tmdbBase, tmdbPosters),
	}, nil
}

func (t *tmdb) find(item table.Item) (key, host string, why *problem) {
	if item.Title == "" || item.Title == item.SourceID {
		return "", "", &problem{status: Missing, reason: "no title"}
	}
	return item.Title, web.Host(t.apiBase), nil
}

func (t *tmdb) get(ctx context.Context, key string) (source string, data []byte, err error) {
	poster, err := t.search(ctx, parseTitle(key))
	if err != nil {
		return "", nil, err
	}
	source = t.postersBase + "/t/p/w500" + poster
	data, err = t.posters.Get(ctx, source, accept)
	return source, data, webProblem(err)
}

func (t *tmdb) remote() bool { return true }

func (t *tmdb) close() error { return nil }

// film is a title with its year, 0 where it is not known.
type film struct {
	title string
	year  int
}

var yearAtEnd = regexp.MustCompile(`^(.*\S)\s*\((\d{4})\)$`)

func parseTitle(text string) film {
	if m := yearAtEnd.FindStringSubmatch(text); m != nil {
		year, _ := strconv.Atoi(m[2]) // four digits
		return film{m[1], year}
	}
	return film{title: text}
}

// result is a film as TMDb finds it.
type result struct {
	Title         string `json:"title"`
	OriginalTitle string `json:"original_title"`
	ReleaseDate   string `json:"release_date"` // 1979-05-25, or empty
	PosterPath    string `json:"poster_path"`
}

// search finds the poster of a film: among those of its year, and if there are none, among those of any year, because the
// sources differ by a year at times.
func (t *tmdb) search(ctx context.Context, f film) (poster string, err error) {
	query := url.Values{"query": {f.title}, "include_adult": {"false"}}
	if f.year > 0 {
		query.Set("year", strconv.Itoa(f.year))
	}
	results, err := t.ask(ctx, query)
	if err == nil && len(results) == 0 && f.year > 0 {
		query.Del("year")
		results, err = t.ask(ctx, query)
	}
	if err != nil {
		return "", err
	}
	best, ok := choose(f, results)
	switch {
	case !ok:
		return "", &problem{status: Missing, reason: "TMDb knows no such film"}
	case best.PosterPath == "":
		return "", &problem{status: Missing, reason: "TMDb has no poster"}
	case path.Clean(best.PosterPath) != best.PosterPath || best.PosterPath[0] != '/' || strings.ContainsAny(best.PosterPath, "?#%\\"):
		return "", &problem{status: Failed, reason: "TMDb answered what is not understood"}
	}
	return best.PosterPath, nil
}

// ask sends a search.
func (t *tmdb) ask(ctx context.Context, query url.Values) ([]result, error) {
	header := http.Header{"Accept": {"application/json"}}
	if strings.Contains(t.key, ".") { // a token is a JWT: three parts with dots between them
		header.Set("Authorization", "Bearer "+t.key)
	} else {
		query.Set("api_key", t.key)
	}
	data, err := t.api.Get(ctx, t.apiBase+"/3/search/movie?"+query.Encode(), header)
	if e, ok := errors.AsType[*web.Error](err); ok && e.Status == http.StatusUnauthorized {
		return nil, fail.Usagef("TMDb refuses the API key in the environment variable %s", TMDbKey)
	}
	if err != nil {
		return nil, webProblem(err)
	}
	var answer struct {
		Results []result `json:"results"`
	}
	if json.Unmarshal(data, &answer) != nil {
		return nil, &problem{status: Failed, reason: "TMDb answered what is not understood"}
	}
	return answer.Results, nil
}

// choose takes the first film of that title and about that year, else the first of about that year; TMDb puts the likeliest
// first.
func choose(f film, results []result) (best result, ok bool) {
	for _, r := range results {
		if !r.about(f.year) {
			continue
		}
		if strings.EqualFold(r.Title, f.title) || strings.EqualFold(r.OriginalTitle, f.title) {
			return r, true
		}
		if !ok {
			best, ok = r, true
		}
	}
	return best, ok
}

// about reports whether the film is of the year, or of one beside it.
func (r result) about(year int) bool {
	if year == 0 || len(r.ReleaseDate) < 4 {
		return year == 0
	}
	released, err := strconv.Atoi(r.ReleaseDate[:4])
	return err == nil && released >= year-1 && released <= year+1
}
