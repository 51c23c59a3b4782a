package images

import (
	"bufio"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"regexp"
	"sync"
)

const (
	journalFile = "fetched.jsonl"
	// maxLine bounds a line of the journal; an address rarely has a thousand bytes.
	maxLine = 1 << 20
)

// entry is a line of the journal: a picture that came, by the key of its job.
type entry struct {
	Key     string  `json:"key"`
	Picture picture `json:"picture"`
}

// journal notes what came, a line each, as soon as it is safe. Like every log it grows, and a line that a kill tore is
// skipped. Its methods may be called from several goroutines at once.
type journal struct {
	mu    sync.Mutex
	file  *os.File
	known map[string]picture
}

// openJournal reads what earlier runs noted and is still in keep.
func openJournal(path string, keep *store) (*journal, error) {
	j := &journal{known: map[string]picture{}}
	torn, err := j.read(path, keep)
	if err != nil {
		return nil, err
	}
	if j.file, err = os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644); err != nil {
		return nil, err
	}
	if torn {
		if _, err := j.file.WriteString("\n"); err != nil {
			return nil, errors.Join(err, j.close())
		}
	}
	return j, nil
}

// read reports whether the last line has no end.
func (j *journal) read(path string, keep *store) (torn bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	lines := bufio.NewReaderSize(f, maxLine)
	for {
		line, err := lines.ReadSlice('\n')
		if e, ok := parseEntry(line); ok && err == nil && (keep.skip[e.Picture.SHA256] || e.Picture.Format != "" && keep.has(e.Picture)) {
			j.known[e.Key] = e.Picture
		}
		switch {
		case err == nil, errors.Is(err, bufio.ErrBufferFull): // a line that is no line of ours ends some time
		default: // io.EOF, or a disk that does not give what it has
			return len(line) > 0, nil
		}
	}
}

var hexSum = regexp.MustCompile(`^[0-9a-f]{64}$`)

// parseEntry reads a line. A journal may be damaged, but it must not name files elsewhere or sizes that there are not.
func parseEntry(line []byte) (e entry, ok bool) {
	if json.Unmarshal(line, &e) != nil {
		return entry{}, false
	}
	p := e.Picture
	_, known := extensions[p.Format]
	ok = e.Key != "" && hexSum.MatchString(p.SHA256) && p.Bytes >= 0 && p.Width >= 0 && p.Height >= 0 && p.Width <= maxPixels && p.Height <= maxPixels
	return e, ok && (known || p.Format == "")
}

// find is what came for a key in an earlier run.
func (j *journal) find(key string) (picture, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	p, ok := j.known[key]
	return p, ok
}

// add notes a picture.
func (j *journal) add(key string, p picture) error {
	line, err := json.Marshal(entry{key, p})
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	_, err = j.file.Write(append(line, '\n'))
	return err
}

func (j *journal) close() error { return j.file.Close() }
