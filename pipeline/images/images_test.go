package images

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	pictures "mllm4rec/data/picture"
	"mllm4rec/data/table"
	"mllm4rec/internal/testkit"
)

func sha(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func TestEveryItemHasARowWhateverTheServerDoes(t *testing.T) {
	t.Parallel()
	s, good := newServer(t), picturePNG(5, 1)
	placeholder := picturePNG(6, 2)
	abort := func(w http.ResponseWriter) {
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	header := func(name, value string, code int) func(int, http.ResponseWriter, *http.Request) {
		return func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(name, value)
			w.WriteHeader(code)
		}
	}
	cases := []struct {
		name, address, status, reason string
	}{
		{"good", s.serve("/good", good), OK, ""},
		{"slow, but it comes", s.fault("/slow", func(_ int, w http.ResponseWriter, _ *http.Request) {
			for _, b := range good {
				_, _ = w.Write([]byte{b})
				w.(http.Flusher).Flush()
			}
		}), OK, ""},
		{"cut off once", s.fault("/cut", func(n int, w http.ResponseWriter, _ *http.Request) {
			if n == 1 {
				w.Header().Set("Content-Length", fmt.Sprint(len(good)))
				_, _ = w.Write(good[:20])
				abort(w)
			}
			_, _ = w.Write(good)
		}), OK, ""},
		{"cut off for good", s.fault("/cuts", func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(good)))
			_, _ = w.Write(good[:20])
			abort(w)
		}), Failed, "cut off"},
		{"busy", s.fault("/busy", func(n int, w http.ResponseWriter, _ *http.Request) {
			if n == 1 {
				w.Header().Set("Retry-After", "30")
				w.WriteHeader(http.StatusTooManyRequests)
				return
			}
			_, _ = w.Write(good)
		}), OK, ""},
		{"500, then fine", s.fault("/500", func(n int, w http.ResponseWriter, _ *http.Request) {
			if n < 3 {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			_, _ = w.Write(good)
		}), OK, ""},
		{"500 for good", s.fault("/500s", header("X", "", 500)), Failed, "answered 500 Internal Server Error"},
		{"redirected", s.fault("/moved", header("Location", "/good", 301)), OK, ""},
		{"redirected in a circle", s.fault("/circle", header("Location", "/circle", 302)), Failed, "too many redirects"},
		{"more announced than there is", s.fault("/long", func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(good)+1))
			_, _ = w.Write(good)
		}), Failed, "cut off"},
		{"a terabyte announced", s.fault("/tera", header("Content-Length", "1099511627776", 200)), Failed, "too large: more than 1048576 bytes"},
		{"too large", s.serve("/large", append(bytes.Clone(good), make([]byte, 1<<20)...)), Failed, "too large: more than 1048576 bytes"},
		{"a bomb", s.serve("/bomb", bomb(50_000, 50_000)), Failed, "too many pixels: 50000 × 50000, the limit is 50000000"},
		{"a thread", s.serve("/thread", bomb(1, 100_000)), Failed, "too many pixels: 1 × 100000, the limit is 65535 a side"},
		{"a bomb of 2^31 pixels a side", s.serve("/bomb2", bomb(1<<31-1, 1<<31-1)), Failed, "damaged picture"},
		{"no pixels", s.serve("/flat", bomb(5, 0)), Failed, "damaged picture"},
		{"a page", s.serve("/page.jpg", []byte("<html>no such picture</html>")), Failed, "no picture: text/html"},
		{"nothing", s.serve("/empty", nil), Failed, "no picture: the file is empty"},
		{"half a header", s.serve("/half", good[:20]), Failed, "damaged picture"},
		{"a placeholder", s.serve("/none", placeholder), Skipped, "placeholder"},
		{"not there", s.URL + "/nowhere", Missing, "not found"},
		{"no address", "", Missing, "no image_url"},
		{"no web address", "file:///etc/passwd", Failed, "no http or https address"},
		{"nobody listens", "http://" + deaf(t) + "/1.jpg", Failed, "could not connect"},
	}
	var all []table.Item
	for _, c := range cases {
		all = append(all, table.Item{ImageURL: c.address})
	}
	o := writeItems(t, all...)
	o.Placeholders = []string{strings.ToUpper(sha(placeholder))}
	stats, err := Run(t.Context(), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	rows := readTable(t, o)
	if len(rows) != len(cases) || stats.Items != int64(len(cases)) || stats.OK+stats.Missing+stats.Failed+stats.Skipped != stats.Items {
		t.Fatalf("%d rows of %d items, %+v", len(rows), len(cases), stats)
	}
	for i, c := range cases {
		row := rows[i]
		if row.ItemID != int32(i+1) || row.Source != c.address || row.Status != c.status || !strings.HasPrefix(row.Reason, c.reason) || (row.Status == OK) != (row.Reason == "") {
			t.Errorf("%s: got %+v, want %s: %s", c.name, row, c.status, c.reason)
		}
		if c.status != OK {
			if row.Path != "" || row.Width != 0 {
				t.Errorf("%s: got %+v", c.name, row)
			}
			continue
		}
		want := table.Image{ItemID: row.ItemID, Source: c.address, Status: OK, SHA256: sha(good), Path: "images/" + sha(good)[:2] + "/" + sha(good) + ".png", Width: 5, Height: 3, Bytes: int64(len(good))}
		if data, err := os.ReadFile(filepath.Join(o.Out, row.Path)); row != want || err != nil || !bytes.Equal(data, good) {
			t.Errorf("%s: got %+v, %v, want %+v", c.name, row, err, want)
		}
	}
	if stats.Pictures != 1 || stats.Bytes != int64(len(good)) {
		t.Errorf("%+v", stats)
	}
}

// deaf is an address at which nobody listens.
func deaf(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestFormatIsWhatTheHeaderSays(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	var all []table.Item
	var want []string
	for format, data := range formats(t) {
		all = append(all, table.Item{ImageURL: s.serve("/"+format+".jpg", data)})
		want = append(want, extensions[format])
	}
	o := writeItems(t, all...)
	if _, err := Run(t.Context(), o, nil); err != nil {
		t.Fatal(err)
	}
	for i, row := range readTable(t, o) {
		if row.Status != OK || filepath.Ext(row.Path) != want[i] || row.Width != 5 || row.Height != 3 {
			t.Errorf("%s: got %+v", want[i], row)
		}
	}
}

func TestPrivateAddressesAreRefusedUnlessAllowed(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	o := writeItems(t, items(s.serve("/1", picturePNG(1, 1)), s.serve("/2", picturePNG(2, 1)))...)
	o.AllowPrivate = false
	_, err := Run(t.Context(), o, nil)
	if err == nil || !strings.Contains(err.Error(), "not one picture of 2 items came: 2 address refused") || !strings.Contains(err.Error(), "set images.allow_private") {
		t.Errorf("got %v", err)
	}
	for _, row := range readTable(t, o) {
		if row.Status != Failed || row.Reason != "address refused: 127.0.0.1 is not public" {
			t.Errorf("got %+v", row)
		}
	}
	if s.total() != 0 {
		t.Errorf("asked %d times", s.total())
	}
}

func TestSilentServerHoldsUpNothing(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	silent := s.fault("/silent", func(_ int, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	o := writeItems(t, items(silent, s.serve("/1", picturePNG(1, 1)))...)
	o.Timeout = 300 * time.Millisecond
	if _, err := Run(t.Context(), o, nil); err != nil {
		t.Fatal(err)
	}
	if rows := readTable(t, o); rows[0].Reason != "timed out" || rows[1].Status != OK {
		t.Errorf("got %+v", rows)
	}
}

func TestSharedPicturesAreFetchedAndKeptOnce(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	one, same := s.serve("/one", picturePNG(1, 1)), s.serve("/same", picturePNG(1, 1))
	o := writeItems(t, items(one, one, same, one)...)
	stats, err := Run(t.Context(), o, nil)
	if err != nil || stats.OK != 4 || stats.Pictures != 1 || s.total() != 2 {
		t.Errorf("asked %d times, %+v, %v", s.total(), stats, err)
	}
	for _, row := range readTable(t, o)[1:] {
		if row.Path != readTable(t, o)[0].Path {
			t.Errorf("got %+v", row)
		}
	}
}

// TestStoppedRunGoesOnWhereItWas stops a run after each number of pictures and compares the end with an unbroken run.
func TestStoppedRunGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	const n = 12
	var addresses []string
	for i := range n {
		addresses = append(addresses, s.serve(fmt.Sprintf("/%d", i), picturePNG(i+1, 1)))
	}
	placeholder := picturePNG(50, 1)
	addresses = append(addresses, s.serve("/none", placeholder))
	options := func() Options {
		o := writeItems(t, items(addresses...)...)
		o.Placeholders = []string{sha(placeholder)}
		return o
	}
	whole := options()
	if _, err := Run(t.Context(), whole, nil); err != nil {
		t.Fatal(err)
	}
	for i := range 2 * n {
		o, after := options(), i%n
		if i < n {
			o.Parallel = 1 // nothing else is under way, so that requests can be counted
		}
		ctx, cancel := context.WithCancel(t.Context())
		address := fmt.Sprintf("/%d", after)
		data := picturePNG(after+1, 1)
		s.fault(address, func(_ int, w http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() })
		if _, err := Run(ctx, o, nil); !errors.Is(err, context.Canceled) {
			t.Fatalf("stopped at %d: got %v", after, err)
		}
		if _, err := os.Stat(filepath.Join(o.Out, TableFile)); err == nil {
			t.Error("a stopped run wrote a table")
		}
		s.serve(address, data)
		before := s.total()
		stats, err := Run(t.Context(), o, nil)
		if err != nil || o.Parallel == 1 && (int(stats.Resumed) != after || s.total()-before != n+1-after) {
			t.Errorf("stopped at %d: asked %d times, %+v, %v", after, s.total()-before, stats, err)
		}
		if got, want := readTable(t, o), readTable(t, whole); !reflect.DeepEqual(got, want) {
			t.Errorf("stopped at %d: got %+v, want %+v", after, got, want)
		}
	}
}

func TestLaterRunFetchesOnlyWhatItLacks(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	good, gone, broken := s.serve("/good", picturePNG(1, 1)), s.serve("/gone", picturePNG(2, 1)), s.serve("/broken", picturePNG(3, 1))
	late := s.URL + "/late"
	o := writeItems(t, items(good, gone, broken, late)...)
	if _, err := Run(t.Context(), o, nil); err != nil {
		t.Fatal(err)
	}
	rows := readTable(t, o)
	if err := os.Remove(filepath.Join(o.Out, rows[1].Path)); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(o.Out, rows[2].Path), 5); err != nil {
		t.Fatal(err)
	}
	s.serve("/late", picturePNG(4, 1))
	stats, err := Run(t.Context(), o, nil)
	if err != nil || stats.OK != 4 || stats.Resumed != 1 {
		t.Errorf("%+v, %v", stats, err)
	}
	if want := (map[string]int{"/good": 1, "/gone": 2, "/broken": 2, "/late": 2}); !reflect.DeepEqual(s.asked, want) {
		t.Errorf("asked for %v, want %v", s.asked, want)
	}
	o.Placeholders = []string{rows[0].SHA256} // a picture that turns out to be a placeholder needs no fetching either
	if stats, err := Run(t.Context(), o, nil); err != nil || stats.Skipped != 1 || stats.Resumed != 4 {
		t.Errorf("%+v, %v", stats, err)
	}
}

func TestDamagedJournalCostsNoMoreThanItsLines(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	one, two := s.serve("/1", picturePNG(1, 1)), s.serve("/2", picturePNG(2, 1))
	o := writeItems(t, items(one, two)...)
	o.Parallel = 1 // so that the journal is in order
	if _, err := Run(t.Context(), o, nil); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(o.Out, Folder, journalFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	first, second, _ := strings.Cut(string(text), "\n")
	for name, damaged := range map[string]string{
		"torn":         first + "\n" + second[:len(second)/2],
		"foreign line": "\x00\xff\n[]\n{}\n" + first + "\n" + strings.Repeat("x", 3*maxLine) + "\n",
		"path outside": first + "\n" + strings.Replace(second, `"sha256":"`, `"sha256":"../../`, 1),
	} {
		if err := os.WriteFile(path, []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		for want := int64(1); want <= 2; want++ { // the second run finds what the first one appended
			if stats, err := Run(t.Context(), o, nil); err != nil || stats.Resumed != want || stats.OK != 2 {
				t.Errorf("%s: %+v, %v, want %d from before", name, stats, err, want)
			}
		}
	}
}

func TestDiskThatTakesNothingEndsTheRunAtOnce(t *testing.T) {
	t.Parallel()
	s, data := newServer(t), picturePNG(1, 1)
	asked := make(chan struct{})
	silent := s.fault("/silent", func(n int, _ http.ResponseWriter, r *http.Request) {
		if n == 1 {
			close(asked)
		}
		<-r.Context().Done()
	})
	var o Options
	good := s.fault("/1", func(_ int, w http.ResponseWriter, _ *http.Request) {
		<-asked
		err := os.WriteFile(filepath.Join(o.Out, Folder, sha(data)[:2]), nil, 0o600) // where a folder should be
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(data)
	})
	o = writeItems(t, items(silent, good)...)
	start := time.Now()
	if _, err := Run(t.Context(), o, nil); err == nil || !strings.Contains(err.Error(), sha(data)[:2]) {
		t.Errorf("got %v", err)
	}
	if took := time.Since(start); took > o.Timeout/2 {
		t.Errorf("it took %s: it waited for a silent server", took)
	}
}

// TestWhatTheCaptionerReadsIsTaken looks at files that Go's own packages refuse, or think larger.
func TestWhatTheCaptionerReadsIsTaken(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"tiff-cmyk.tif", "tiff-cmyk-lzw.tif", "tiff-padded.tif", "gif-small-screen.gif"} {
		data := testkit.Must(os.ReadFile(filepath.Join("..", "..", "data", "picture", "testdata", "pillow", name)))(t)
		var p picture
		if err := p.readHeader(data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		decoded := testkit.Must(pictures.Decode(data))(t)
		if p.Width != decoded.Width || p.Height != decoded.Height || !strings.HasPrefix(name, p.Format) {
			t.Errorf("%s: %+v, want %d × %d", name, p, decoded.Width, decoded.Height)
		}
	}
	var p picture
	if err := p.readHeader(append(picturePNG(5, 1), make([]byte, pictures.MaxBytes)...)); err == nil || !strings.HasPrefix(err.Error(), "too large: ") {
		t.Errorf("a file that nobody decodes: %v", err)
	}
}

func FuzzHeaderNeverPanics(f *testing.F) {
	f.Add(bomb(50_000, 50_000))
	f.Add(picturePNG(5, 1))
	f.Fuzz(func(t *testing.T, data []byte) {
		var p picture
		err := p.readHeader(data)
		if err == nil && (extensions[p.Format] == "" || p.Width < 1 || p.Height < 1 || p.Width > maxPixels) {
			t.Errorf("accepted %+v", p)
		}
	})
}

func FuzzJournalLineNeverPanics(f *testing.F) {
	f.Add([]byte(`{"key":"http://h/1","picture":{"source":"http://h/1","sha256":"` + strings.Repeat("a", 64) + `","format":"png","width":5,"height":3,"bytes":9}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		e, ok := parseEntry(line)
		if ok && !filepath.IsLocal(e.Picture.name()) {
			t.Errorf("%q names %s", line, e.Picture.name())
		}
	})
}
