package download

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mllm4rec/internal/fail"
	"mllm4rec/internal/progress"
)

// quick is the fetcher of the tests: no pause worth naming.
var quick = fetcher{tries: 3, pause: time.Millisecond, longest: 5 * time.Millisecond, stall: 300 * time.Millisecond}

var (
	body  = bytes.Repeat([]byte("user item rating timestamp\n"), 40_000) // 1 MB
	other = bytes.Repeat([]byte("another file of another length\n"), 30_000)
)

// fetch fetches from s to a new folder and returns what lies there.
func fetch(t *testing.T, s *server, req Request) (dst string, got []byte, err error) {
	t.Helper()
	req.URL = s.URL + "/file.zip"
	dst = filepath.Join(t.TempDir(), "folder", "file.zip")
	err = quick.fetch(t.Context(), req, dst, nil)
	got, _ = os.ReadFile(dst)
	return dst, got, err
}

func TestFetchesInSpiteOf(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name     string
		faults   []fault
		requests int
		want     []byte
	}{
		{"nothing", nil, 1, body},
		{"one cut", []fault{cutAfter(300_000)}, 2, body},
		{"many cuts, each after something new", []fault{cutAfter(100_000), cutAfter(1), cutAfter(1), cutAfter(1), cutAfter(1), cutAfter(1)}, 7, body},
		{"busy", []fault{status(429, "Retry-After", "0"), status(503)}, 3, body},
		{"down for a moment", []fault{status(500), status(502)}, 3, body},
		{"Retry-After of a day, cut short", []fault{status(429, "Retry-After", "86400")}, 2, body},
		{"ranges ignored", []fault{cutAfter(300_000), ignoreRange}, 2, body},
		{"changed in between", []fault{cutAfter(300_000), changeTo(other, `"v2"`)}, 2, other},
		{"changed in between, If-Range ignored", []fault{cutAfter(300_000), ignoreIfRange(other, `"v2"`)}, 3, other},
		{"changed in between, without a word", []fault{nameless(cutAfter(300_000)), nameless(changeTo(other, ""))}, 2, other},
		{"changed in between, only its date tells, If-Range ignored", []fault{dated(1, cutAfter(300_000)), dated(2, ignoreIfRange(other, ""))}, 3, other},
		{"shrunk in between", []fault{cutAfter(300_000), ignoreIfRange(body[:10], `"v2"`)}, 3, body[:10]},
		{"wrong length once", []fault{longer}, 2, body},
		{"silence", []fault{silent}, 2, body},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, body, c.faults...)
			dst, got, err := fetch(t, s, Request{SHA256: sum(c.want)})
			if err != nil || !bytes.Equal(got, c.want) {
				t.Errorf("got %d bytes and error %v, want %d bytes", len(got), err, len(c.want))
			}
			if len(s.requests) != c.requests {
				t.Errorf("%d requests, want %d", len(s.requests), c.requests)
			}
			onlyFile(t, dst)
		})
	}
}

func TestWaitsAsLongAsAskedAndNoLongerThanTheLongestPause(t *testing.T) {
	t.Parallel()
	for after, want := range map[string]time.Duration{"20": 20 * time.Second, "86400": time.Minute, "31536000000": time.Minute, "Fri, 31 Dec 2100 23:59:59 GMT": time.Minute} {
		busy := &http.Response{StatusCode: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {after}}}
		f := newFetcher()
		if got := f.client().Backoff(f.pause, f.longest, 1, busy); got != want {
			t.Errorf("Retry-After: %s: waits %s, want %s", after, got, want)
		}
	}
}

func TestFails(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		faults []fault
		req    Request
		want   string
	}{
		{"not there", []fault{status(404)}, Request{}, "404 Not Found (has the file moved?"},
		{"down", []fault{status(500), status(500), status(500)}, Request{}, "500 Internal Server Error"},
		{"cut at once, again and again", []fault{cutAfter(0), cutAfter(0), cutAfter(0)}, Request{}, "gave up after 3 tries in a row"},
		{"cut here and there, from the beginning", slices.Repeat([]fault{nameless(cutAfter(20)), nameless(cutAfter(10))}, 9), Request{}, "gave up after 3 tries in a row"},
		{"another hash", nil, Request{SHA256: sum([]byte("x"))}, "SHA-256 is " + sum(body)},
		{"too large, announced", nil, Request{MaxBytes: 1000}, "larger than 1000 bytes"},
		{"too large, not announced", []fault{chunked}, Request{MaxBytes: 1000}, "larger than 1000 bytes"},
		{"redirected in a circle", []fault{circle, circle, circle, circle, circle, circle, circle, circle, circle, circle}, Request{}, "more than 10 redirects"},
		{"redirected to a file", []fault{status(302, "Location", "file:///etc/passwd")}, Request{}, "unsupported protocol scheme"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dst, got, err := fetch(t, newServer(t, body, c.faults...), c.req)
			if err == nil || !strings.Contains(err.Error(), c.want) || fail.IsUsage(err) {
				t.Errorf("got error %v, want one with %q", err, c.want)
			}
			if got != nil {
				t.Errorf("%s is there", dst)
			}
		})
	}
}

func chunked(s *server, w http.ResponseWriter, _ *http.Request) {
	for start := 0; start < len(s.body); start += 500 {
		if _, err := w.Write(s.body[start : start+500]); err != nil {
			return
		}
		w.(http.Flusher).Flush()
	}
}

func circle(_ *server, w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "/file.zip", http.StatusFound)
}

func TestFileOfAnotherAddressIsFetchedAgain(t *testing.T) {
	t.Parallel()
	first, second := newServer(t, body), newServer(t, other)
	dst := filepath.Join(t.TempDir(), "file.zip")
	for _, step := range []struct {
		from     *server
		want     []byte
		requests int
	}{{first, body, 1}, {first, body, 1}, {second, other, 1}, {second, other, 1}, {first, body, 2}} {
		if err := quick.fetch(t.Context(), Request{URL: step.from.URL + "/file.zip"}, dst, nil); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(dst); err != nil || !bytes.Equal(got, step.want) || len(step.from.requests) != step.requests {
			t.Errorf("%d bytes after %d requests, %v; want %d after %d", len(got), len(step.from.requests), err, len(step.want), step.requests)
		}
	}
}

func TestOtherAddressesAreUsageErrors(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"", "file:///etc/passwd", "ftp://host/x", "ratings.csv", "http://", "http://a b/", "HTTP//x"} {
		err := Fetch(t.Context(), Request{URL: address}, filepath.Join(t.TempDir(), "x"), nil)
		if !fail.IsUsage(err) {
			t.Errorf("%q: got %v", address, err)
		}
	}
}

func TestGoesOnWhereAnotherCallEnded(t *testing.T) {
	t.Parallel()
	for name, validator := range map[string]struct {
		etag string
		date time.Time
		from string
	}{
		"ETag":                   {etag: `"v1"`, from: "bytes=300000-"},
		"date":                   {date: time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC), from: "bytes=300000-"},
		"weak ETag":              {etag: `W/"v1"`},
		"nothing to tell it by":  {},
		"weak ETag and the date": {etag: `W/"v1"`, date: time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC), from: "bytes=300000-"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, body, cutAfter(300_000), cutAfter(0), cutAfter(0), cutAfter(0))
			s.etag, s.date = validator.etag, validator.date
			dst, _, err := fetch(t, s, Request{})
			if err == nil {
				t.Fatal("no error")
			}
			s.faults, s.requests = nil, nil
			if err := quick.fetch(t.Context(), Request{URL: s.URL + "/file.zip"}, dst, nil); err != nil {
				t.Fatal(err)
			}
			if got, _ := os.ReadFile(dst); !bytes.Equal(got, body) {
				t.Errorf("got %d bytes", len(got))
			}
			if got := s.requests[0].Get("Range"); got != validator.from {
				t.Errorf("asked for range %q, want %q", got, validator.from)
			}
			onlyFile(t, dst)
		})
	}
}

func TestOldBytesThatAreWrongAreFetchedAnew(t *testing.T) {
	t.Parallel()
	for name, old := range map[string]struct{ bytes, notes string }{
		"damaged part":       {strings.Repeat("?", 5000), `{"url":"URL","etag":"\"v1\""}`},
		"whole, but damaged": {strings.Repeat("?", len(body)), `{"url":"URL","etag":"\"v1\""}`},
		"too long":           {strings.Repeat("?", len(body)+1), `{"url":"URL","etag":"\"v1\""}`},
		"another address":    {"abc", `{"url":"http://elsewhere/","etag":"\"v1\""}`},
		"no notes":           {"abc", ""},
		"damaged notes":      {"abc", `{"url":`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, body)
			dst := filepath.Join(t.TempDir(), "file.zip")
			url := s.URL + "/file.zip"
			write(t, dst+".part", old.bytes)
			write(t, dst+".part.json", strings.ReplaceAll(old.notes, "URL", url))
			if err := quick.fetch(t.Context(), Request{URL: url, SHA256: sum(body)}, dst, nil); err != nil {
				t.Fatal(err)
			}
			onlyFile(t, dst)
		})
	}
}

func TestWhatIsThereIsNotFetched(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, old, sha256 string
		requests          int
	}{
		{"no hash is known", "old", "", 0},
		{"hash fits", string(body), sum(body), 0},
		{"hash does not fit", "old", sum(body), 1},
	}
	for _, c := range cases {
		s := newServer(t, body)
		dst := filepath.Join(t.TempDir(), "file.zip")
		write(t, dst, c.old)
		if err := quick.fetch(t.Context(), Request{URL: s.URL, SHA256: c.sha256}, dst, nil); err != nil || len(s.requests) != c.requests {
			t.Errorf("%s: %d requests, want %d; error %v", c.name, len(s.requests), c.requests, err)
		}
	}
}

func TestCancelledFetchKeepsWhatItHas(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s := newServer(t, body, func(s *server, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", s.etag)
		_, _ = w.Write(s.body[:5000])
		w.(http.Flusher).Flush()
		cancel()
		<-r.Context().Done()
	})
	dst := filepath.Join(t.TempDir(), "file.zip")
	if err := Fetch(ctx, Request{URL: s.URL}, dst, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := Fetch(t.Context(), Request{URL: s.URL, SHA256: sum(body)}, dst, nil); err != nil {
		t.Error(err)
	}
}

func TestTwoCallsForOneFileFetchItOnce(t *testing.T) {
	t.Parallel()
	s := newServer(t, body)
	dst := filepath.Join(t.TempDir(), "file.zip")
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			if err := quick.fetch(t.Context(), Request{URL: s.URL, SHA256: sum(body)}, dst, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if len(s.requests) != 1 {
		t.Errorf("%d requests", len(s.requests))
	}
}

func TestDoesNotFollowFromHTTPSToHTTP(t *testing.T) {
	t.Parallel()
	from, to := httptest.NewRequest(http.MethodGet, "https://a/", nil), httptest.NewRequest(http.MethodGet, "http://a/", nil)
	if checkRedirect(to, []*http.Request{from}) == nil || checkRedirect(from, []*http.Request{to}) != nil {
		t.Error("https → http is followed, or http → https is not")
	}
}

func TestShowsProgress(t *testing.T) {
	t.Parallel()
	s := newServer(t, body, cutAfter(300_000))
	var out bytes.Buffer
	printer := &progress.Printer{Out: &out, Every: time.Nanosecond}
	if err := quick.fetch(t.Context(), Request{URL: s.URL}, filepath.Join(t.TempDir(), "ml.zip"), printer); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "download ml.zip: 1080000 of 1080000 bytes (100%)") {
		t.Errorf("got %q", out.String())
	}
}

// onlyFile checks that nothing but the file and its lock is left.
func onlyFile(t *testing.T, dst string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(dst))
	if err != nil || len(entries) != 2 || entries[0].Name() != ".file.zip.lock" || entries[1].Name() != "file.zip" {
		t.Errorf("left %v, error %v", entries, err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
