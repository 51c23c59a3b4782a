package download

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"mllm4rec/internal/atomicfile"
)

// identity says of what file a part is a part.
type identity struct {
	URL          string `json:"url"`
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"last_modified,omitempty"`
}

// validator is what If-Range takes: a strong ETag or else the date. Without one a transfer starts from the beginning.
func (i identity) validator() string {
	if i.ETag != "" && !strings.HasPrefix(i.ETag, "W/") {
		return i.ETag
	}
	return i.LastModified
}

// fits reports whether an answer may go on with the same file. It need not say the date again (RFC 9110, 15.3.7).
func (i identity) fits(answer http.Header) bool {
	date := answer.Get("Last-Modified")
	return answer.Get("ETag") == i.ETag && (date == "" || date == i.LastModified)
}

// part is NAME.part and NAME.part.json.
type part struct {
	file  *os.File
	notes string
	size  int64
	of    identity
}

// openPart opens the part of dst, empty unless it is known to be one of url.
func openPart(dst, url string) (*part, error) {
	file, err := os.OpenFile(dst+".part", os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	p := &part{file: file, notes: dst + ".part.json"}
	if p.of = readNotes(p.notes); p.of.URL != url || p.of.validator() == "" {
		err = p.reset(identity{URL: url})
	} else {
		p.size, err = file.Seek(0, io.SeekEnd)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return p, nil
}

// maxNotes bounds what is read of a notes file.
const maxNotes = 64 << 10

// readNotes is the zero identity where there are no notes or they cannot be read: the part then starts anew.
func readNotes(path string) identity {
	var of identity
	f, err := os.Open(path)
	if err != nil {
		return identity{}
	}
	defer func() { _ = f.Close() }() // read only
	if err := json.NewDecoder(io.LimitReader(f, maxNotes)).Decode(&of); err != nil {
		return identity{}
	}
	return of
}

// reset drops the bytes so far and notes of what the next ones are. The bytes go first: a kill in between must not leave
// old bytes under a new identity.
func (p *part) reset(of identity) error {
	if err := p.file.Truncate(0); err != nil {
		return err
	}
	if _, err := p.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	p.size, p.of = 0, of
	text, err := json.Marshal(of)
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(p.notes, append(text, '\n'))
}

// Write appends.
func (p *part) Write(b []byte) (int, error) {
	n, err := p.file.Write(b)
	p.size += int64(n)
	return n, err
}

// close leaves what is worth going on with, and removes the rest.
func (p *part) close() error {
	err := p.file.Close()
	if p.kept() == "" {
		err = errors.Join(err, os.Remove(p.file.Name()), os.Remove(p.notes))
	}
	return err
}

// kept says what a later call can go on with, to be put behind an error.
func (p *part) kept() string {
	if p.size == 0 || p.of.validator() == "" {
		return ""
	}
	return fmt.Sprintf("; %d bytes are kept, the same command goes on from there", p.size)
}

// verify reads f from its beginning and compares its SHA-256 with want; an empty want always passes.
func verify(f *os.File, want string) error {
	if want == "" {
		return nil
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, io.NewSectionReader(f, 0, 1<<62)); err != nil {
		return err
	}
	expected, err := hex.DecodeString(want)
	if err != nil {
		return fmt.Errorf("SHA-256 %q: %w", want, err)
	}
	if got := hash.Sum(nil); !bytes.Equal(got, expected) {
		return fmt.Errorf("SHA-256 is %x, not %s", got, want)
	}
	return nil
}
