package images

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mllm4rec/data/table"
	"mllm4rec/internal/fail"
)

// tmdbServer answers searches by "query year" and serves posters.
func tmdbServer(t *testing.T, key string, found map[string][]result) *server {
	t.Helper()
	s := newServer(t)
	s.fault("/3/search/movie", func(_ int, w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if q.Get("api_key") != key && r.Header.Get("Authorization") != "Bearer "+key {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		results := found[q.Get("query")+" "+q.Get("year")]
		_ = json.NewEncoder(w).Encode(map[string]any{"page": 1, "results": results})
	})
	s.serve("/t/p/w500/alien.jpg", picturePNG(1, 1))
	s.serve("/t/p/w500/other.jpg", picturePNG(2, 1))
	return s
}

func tmdbOptions(t *testing.T, s *server, key string, titles ...string) Options {
	t.Helper()
	var all []table.Item
	for _, title := range titles {
		all = append(all, table.Item{Title: title})
	}
	o := writeItems(t, all...)
	o.Source, o.TMDbKey, o.tmdbBase = FromTMDb, key, s.URL
	return o
}

func TestPostersComeFromTMDb(t *testing.T) {
	t.Parallel()
	alien := result{Title: "Alien", ReleaseDate: "1979-05-25", PosterPath: "/alien.jpg"}
	s := tmdbServer(t, "secretkey", map[string][]result{
		"Alien 1979":                   {{Title: "Aliens at home", ReleaseDate: "1979-01-01", PosterPath: "/other.jpg"}, alien},
		"Alien 1978":                   nil,
		"Alien ":                       {{Title: "Alien", ReleaseDate: "2031-01-01", PosterPath: "/other.jpg"}, alien},
		"Le Huitième Passager ":        {{Title: "Alien", OriginalTitle: "Le huitième passager", PosterPath: "/alien.jpg"}},
		"No Poster 1990":               {{Title: "No Poster", ReleaseDate: "1990-01-01"}},
		"Gone 1990":                    {{Title: "Gone", ReleaseDate: "1990-01-01", PosterPath: "/gone.jpg"}},
		"Wrong 1990":                   {{Title: "Wrong", ReleaseDate: "1990-01-01", PosterPath: "/../../x?y"}},
		"Something Else Altogether ":   {{Title: "Another", ReleaseDate: "2020-01-01", PosterPath: "/other.jpg"}},
		"Something Else Altogether 19": nil,
	})
	o := tmdbOptions(t, s, "secretkey", "Alien (1979)", "Alien (1978)", "Le Huitième Passager", "No Poster (1990)", "Gone (1990)", "Wrong (1990)",
		"Unknown (1950)", "Something Else Altogether (1950)", "i9")
	stats, err := Run(t.Context(), o, nil)
	if err != nil || stats.OK != 3 {
		t.Fatalf("%+v, %v", stats, err)
	}
	poster := s.URL + "/t/p/w500/alien.jpg"
	want := []table.Image{
		{Source: poster, Status: OK}, {Source: poster, Status: OK}, {Source: poster, Status: OK},
		{Status: Missing, Reason: "TMDb has no poster"},
		{Source: s.URL + "/t/p/w500/gone.jpg", Status: Missing, Reason: "not found"},
		{Status: Failed, Reason: "TMDb answered what is not understood"},
		{Status: Missing, Reason: "TMDb knows no such film"},
		{Status: Missing, Reason: "TMDb knows no such film"},
		{Status: Missing, Reason: "no title"},
	}
	for i, row := range readTable(t, o) {
		if row.Source != want[i].Source || row.Status != want[i].Status || row.Reason != want[i].Reason {
			t.Errorf("got %+v, want %+v", row, want[i])
		}
	}
	before := s.total()
	if stats, err := Run(t.Context(), o, nil); err != nil || stats.Resumed != 3 || s.total()-before > 8 {
		t.Errorf("asked %d times more, %+v, %v", s.total()-before, stats, err)
	}
	nowhereWritten(t, o.Out, "secretkey")
}

// nowhereWritten looks for a secret in all files.
func nowhereWritten(t *testing.T, dir, secret string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if strings.Contains(string(data), secret) {
			t.Errorf("%s holds the key", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTMDbTakesATokenToo(t *testing.T) {
	t.Parallel()
	const token = "eyJh.eyJh.sig"
	s := tmdbServer(t, token, map[string][]result{"Alien 1979": {{Title: "Alien", ReleaseDate: "1979-05-25", PosterPath: "/alien.jpg"}}})
	if stats, err := Run(t.Context(), tmdbOptions(t, s, token, "Alien (1979)"), nil); err != nil || stats.OK != 1 {
		t.Errorf("%+v, %v", stats, err)
	}
}

func TestWrongTMDbKeyEndsTheRunWithoutTellingIt(t *testing.T) {
	t.Parallel()
	s := tmdbServer(t, "right", nil)
	for _, key := range []string{"", "secretwrong"} {
		_, err := Run(t.Context(), tmdbOptions(t, s, key, "Alien (1979)", "Aliens (1986)"), nil)
		if !fail.IsUsage(err) || !strings.Contains(err.Error(), "TMDB_API_KEY") || strings.Contains(err.Error(), "secretwrong") {
			t.Errorf("got %v", err)
		}
	}
}

func TestTMDbKeyGoesNowhereElse(t *testing.T) {
	t.Parallel()
	s, other := newServer(t), newServer(t)
	s.fault("/3/search/movie", func(_ int, w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+"/stolen", http.StatusFound)
	})
	o := tmdbOptions(t, s, "secretkey", "Alien (1979)")
	if _, err := Run(t.Context(), o, nil); err == nil || strings.Contains(err.Error(), "secretkey") {
		t.Errorf("got %v", err)
	}
	if row := readTable(t, o)[0]; row.Reason != "redirected" || other.total() != 0 {
		t.Errorf("got %+v, and the other server was asked %d times", row, other.total())
	}
	nowhereWritten(t, o.Out, "secretkey")
}
