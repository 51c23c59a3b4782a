package images

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"

	"mllm4rec/data/table"
)

// server serves pictures, and faults by path.
type server struct {
	*httptest.Server
	mu    sync.Mutex
	asked map[string]int
	// handlers answer by path; the n-th request of a path, from 1, is told its number.
	handlers map[string]func(n int, w http.ResponseWriter, r *http.Request)
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{asked: map[string]int{}, handlers: map[string]func(int, http.ResponseWriter, *http.Request){}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked[r.URL.Path]++
	n, answer := s.asked[r.URL.Path], s.handlers[r.URL.Path]
	s.mu.Unlock()
	if answer == nil {
		http.NotFound(w, r)
		return
	}
	answer(n, w, r)
}

// total is how often the server was asked.
func (s *server) total() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, asked := range s.asked {
		n += asked
	}
	return n
}

func (s *server) serve(path string, data []byte) string {
	return s.fault(path, func(_ int, w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data) })
}

func (s *server) fault(path string, answer func(n int, w http.ResponseWriter, r *http.Request)) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handlers[path] = answer
	return s.URL + path
}

// picturePNG is a picture of w × 3 pixels; another seed gives other bytes.
func picturePNG(w int, seed uint8) []byte {
	var out bytes.Buffer
	_ = png.Encode(&out, filled(w, seed)) // a Buffer takes everything
	return out.Bytes()
}

func filled(w int, seed uint8) image.Image {
	m := image.NewRGBA(image.Rect(0, 0, w, 3))
	for x := range w {
		m.Set(x, x%3, color.RGBA{seed, uint8(x), 7, 255})
	}
	return m
}

// formats are one picture of 5 × 3 pixels in every format that is read. WebP, which Go does not write, is of one colour, by Pillow.
func formats(t *testing.T) map[string][]byte {
	t.Helper()
	all := map[string][]byte{"webp": []byte("RIFF\x1e\x00\x00\x00WEBPVP8L\x11\x00\x00\x00\x2f\x04\x80\x00\x00\x07\x50\x8a\x2a\xd4\xa3\xff\x81\x88\xe8\x7f\x00\x00")}
	for name, encode := range map[string]func(*bytes.Buffer, image.Image) error{
		"jpeg": func(b *bytes.Buffer, m image.Image) error { return jpeg.Encode(b, m, nil) },
		"png":  func(b *bytes.Buffer, m image.Image) error { return png.Encode(b, m) },
		"gif":  func(b *bytes.Buffer, m image.Image) error { return gif.Encode(b, m, nil) },
		"bmp":  func(b *bytes.Buffer, m image.Image) error { return bmp.Encode(b, m) },
		"tiff": func(b *bytes.Buffer, m image.Image) error { return tiff.Encode(b, m, nil) },
	} {
		var out bytes.Buffer
		if err := encode(&out, filled(5, 1)); err != nil {
			t.Fatal(err)
		}
		all[name] = out.Bytes()
	}
	return all
}

// bomb is a small PNG file whose header says that it has w × h pixels.
func bomb(w, h uint32) []byte {
	header := binary.BigEndian.AppendUint32([]byte("IHDR"), w)
	header = append(binary.BigEndian.AppendUint32(header, h), 8, 2, 0, 0, 0)
	out := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), header...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(header))
}

// writeItems writes items.parquet and returns options that fetch for it in no time.
func writeItems(t *testing.T, items ...table.Item) Options {
	t.Helper()
	dir := t.TempDir()
	for i := range items {
		items[i].ItemID = int32(i + 1)
		if items[i].SourceID == "" {
			items[i].SourceID = fmt.Sprint("i", i+1)
		}
	}
	if err := table.WriteAll(filepath.Join(dir, "items.parquet"), items); err != nil {
		t.Fatal(err)
	}
	return Options{
		Items: filepath.Join(dir, "items.parquet"), Out: dir, Source: FromURL, Parallel: 4, PerHost: 4,
		Timeout: 20 * time.Second, MaxBytes: 1 << 20, AllowPrivate: true,
		shorten: func(time.Duration) time.Duration { return 0 },
	}
}

func items(addresses ...string) (all []table.Item) {
	for _, address := range addresses {
		all = append(all, table.Item{ImageURL: address})
	}
	return all
}

func readTable(t *testing.T, o Options) []table.Image {
	t.Helper()
	rows, err := table.ReadAll[table.Image](filepath.Join(o.Out, TableFile))
	if err != nil {
		t.Fatal(err)
	}
	return rows
}
