package lines

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/gzip"
	"pgregory.net/rapid"
)

func TestLinesAreThoseOfTheText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.SampledFrom([]rune("ab\r\n\n"))).Draw(t, "text")
		r := NewReader(iotest.OneByteReader(strings.NewReader(text)))
		r.buf = make([]byte, 2) // grows
		var got []string
		for {
			line, tooLong, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil || tooLong {
				t.Fatal(err, tooLong)
			}
			got = append(got, string(line))
		}
		want := strings.Split(text, "\n")
		if want[len(want)-1] == "" {
			want = want[:len(want)-1]
		}
		for i := range want {
			want[i] = strings.TrimSuffix(want[i], "\r")
		}
		if strings.Join(got, "|") != strings.Join(want, "|") || len(got) != len(want) {
			t.Fatalf("%q: %q, want %q", text, got, want)
		}
	})
}

// repeat is an endless text without a line end, n bytes of it.
type repeat struct{ n int }

func (r *repeat) Read(p []byte) (int, error) {
	if r.n == 0 {
		return 0, io.EOF
	}
	n := min(len(p), r.n)
	for i := range p[:n] {
		p[i] = 'x'
	}
	r.n -= n
	return n, nil
}

func TestLineOf100MBIsSkippedInBoundedMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := NewReader(io.MultiReader(strings.NewReader("first\n"), &repeat{100 << 20}, strings.NewReader("\nlast\n"), &repeat{100 << 20}))
	var got []string
	for {
		line, tooLong, err := r.Next()
		if err != nil {
			break
		}
		if tooLong {
			got = append(got, "long")
		} else {
			got = append(got, string(line))
		}
	}
	runtime.ReadMemStats(&after)
	if strings.Join(got, " ") != "first long last long" {
		t.Error(got)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 4*MaxBytes {
		t.Errorf("%d MB allocated", used>>20)
	}
}

func zip(t testing.TB, text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestGzipFiles(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789\n", 500_000)
	whole := zip(t, long)
	flipped := bytes.Clone(whole)
	flipped[len(flipped)-6] ^= 1 // in the checksum
	for _, c := range []struct {
		name  string
		data  []byte
		bytes int
		want  error
	}{
		{"plain", []byte(long), len(long), nil},
		{"one member", whole, len(long), nil},
		{"two members", append(bytes.Clone(whole), whole...), 2 * len(long), nil},
		{"cut in the data", whole[:len(whole)/2], -1, io.ErrUnexpectedEOF},
		{"cut in the trailer", whole[:len(whole)-4], -1, io.ErrUnexpectedEOF},
		{"wrong checksum", flipped, -1, gzip.ErrChecksum},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "f")
			if err := os.WriteFile(path, c.data, 0o600); err != nil {
				t.Fatal(err)
			}
			read := 0
			f, err := Open(path, func(n int) { read += n })
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(f)
			if !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if c.bytes >= 0 && (len(text) != c.bytes || read != len(c.data)) {
				t.Errorf("%d bytes of text and %d of file, want %d and %d", len(text), read, c.bytes, len(c.data))
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCloseBeforeTheEndStopsReadingAhead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, zip(t, strings.Repeat("0123456789\n", 1_000_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil { // would hang if the goroutine did not end
		t.Fatal(err)
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte("a\nb\r\n\n\"c\nd\"\n"), uint8(3))
	f.Fuzz(func(t *testing.T, text []byte, size uint8) {
		r := NewReader(bytes.NewReader(text))
		r.buf = make([]byte, int(size)+1)
		total := 0
		for {
			line, _, err := r.Next()
			if err != nil {
				break
			}
			total += len(line)
			if bytes.IndexByte(line, '"') >= 0 {
				first := r.Consumed()
				if joined, ok := r.Extend(); ok && len(joined) <= len(line) {
					t.Fatal("joined to nothing")
				}
				r.Reread(first)
			}
		}
		if total > len(text) {
			t.Fatalf("%d bytes of %d", total, len(text))
		}
	})
}
