package main

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"mllm4rec/data/table"
)

// shop is a log of ten products with the addresses of their pictures, and the server that has all of them but the first.
type shop struct {
	dir   string
	asked atomic.Int32
	// before, where set, is called before the n-th picture is served.
	before func(n int32)
}

func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{dir: t.TempDir()}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n := s.asked.Add(1); s.before != nil {
			s.before(n)
		}
		var n int
		if _, err := fmt.Sscanf(r.URL.Path, "/%d.jpg", &n); err != nil || n == 0 {
			http.NotFound(w, r)
			return
		}
		_ = png.Encode(w, image.NewGray(image.Rect(0, 0, n, 1)))
	}))
	t.Cleanup(server.Close)
	log, items := "user,item\n", "item,picture\n"
	for n := range 10 {
		items += fmt.Sprintf("p%d,%s/%d.jpg\n", n, server.URL, n)
		for user := range 5 {
			log += fmt.Sprintf("u%d,p%d\n", user, n)
		}
	}
	recipe := fmt.Sprintf(`name: shop
data: {source: csv, path: %s, interactions: log.csv, items: items.csv, columns: {rating: "", timestamp: "", image_url: picture}}
images: {source: url, allow_private: true, parallel: 1}
`, s.dir)
	for name, text := range map[string]string{"log.csv": log, "items.csv": items, "shop.yaml": recipe} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *shop) call(signals chan os.Signal, args ...string) (code int, stdout, stderr string) {
	out, errs := &sink{}, &sink{}
	args = append(args, "-c", filepath.Join(s.dir, "shop.yaml"), "--run", filepath.Join(s.dir, "run"))
	code = execute(&system{args: args, stdout: out, stderr: errs, signals: signals})
	return code, out.text.String(), errs.text.String()
}

func TestFetchImagesGoesOnAfterAnInterrupt(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	if code, _, stderr := s.call(nil, "fetch", "images"); code != exitUsage || !strings.Contains(stderr, "which prepare writes: run that first") {
		t.Errorf("before prepare: exit code %d\n%s", code, stderr)
	}
	if code, _, stderr := s.call(nil, "prepare"); code != exitOK {
		t.Fatalf("exit code %d\n%s", code, stderr)
	}
	signals, goOn := make(chan os.Signal), make(chan struct{})
	s.before = func(n int32) {
		if n == 5 {
			signals <- os.Interrupt
			<-goOn // no answer before the interrupt has done its work
		}
	}
	code, _, stderr := s.call(signals, "fetch", "images")
	close(goOn)
	if code != exitInterrupted {
		t.Fatalf("exit code %d\n%s", code, stderr)
	}
	s.before = nil
	code, stdout, stderr := s.call(nil, "fetch", "images")
	if code != exitOK || !strings.Contains(stdout, "goes on where it was stopped") || !strings.Contains(stderr, `why="1 not found"`) || !strings.Contains(stderr, "from_before=3") {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
	if asked := s.asked.Load(); asked != 5+7 { // the picture that was under way and the one that is not there are asked for twice
		t.Errorf("asked %d times", asked)
	}
	rows, err := table.ReadAll[table.Image](filepath.Join(s.dir, "run", "images.parquet"))
	if err != nil || len(rows) != 10 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for i, row := range rows {
		data, err := os.ReadFile(filepath.Join(s.dir, "run", row.Path))
		if i == 0 && row.Status == "missing" {
			continue
		}
		if row.Status != "ok" || row.Width != int32(i) || err != nil || !bytes.HasPrefix(data, []byte("\x89PNG")) {
			t.Errorf("%+v, %v", row, err)
		}
	}
	if code, stdout, _ := s.call(nil, "fetch", "images"); code != exitOK || !strings.Contains(stdout, "up to date") {
		t.Errorf("exit code %d\n%s", code, stdout)
	}
	if code, stdout, _ := s.call(nil, "fetch", "images", "--force"); code != exitOK || s.asked.Load() != 13 {
		t.Errorf("exit code %d, asked %d times\n%s", code, s.asked.Load(), stdout)
	}
}

func TestFetchImagesNeedsToKnowFromWhere(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for set, want := range map[string]string{
		"images.source=":       "say in images.source where they come from",
		"images.source=folder": "folder needs images.path",
		"images.source=tmdb":   "in the environment variable TMDB_API_KEY",
	} {
		_, _, _ = s.call(nil, "prepare")
		if code, _, stderr := s.call(nil, "fetch", "images", "--set", set); code != exitUsage || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit code %d\n%s", set, code, stderr)
		}
	}
}
