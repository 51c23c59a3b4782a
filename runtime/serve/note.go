package serve

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"time"
)

// note is what a request leaves for the log and the metrics.
type note struct {
	id     string
	route  string // pattern; "" where none fits
	key    string // name of the API key
	code   string // of the error
	err    error
	queue  time.Duration
	status int
	bytes  int64
}

type noteKey struct{}

// noteOf is the note of a request; outside of one, a note that nobody reads.
func noteOf(ctx context.Context) *note {
	if n, ok := ctx.Value(noteKey{}).(*note); ok {
		return n
	}
	return &note{}
}

// saneID is a request id that may go into logs and headers as it is.
var saneID = regexp.MustCompile(`^[A-Za-z0-9._:/+=-]{1,128}$`)

// requestID is the client's id where it is sane, else a new one.
func requestID(r *http.Request) string {
	if id := r.Header.Get("X-Request-Id"); saneID.MatchString(id) {
		return id
	}
	var random [12]byte
	_, _ = rand.Read(random[:]) // never fails
	return hex.EncodeToString(random[:])
}

// recorder notes the status and size of an answer.
type recorder struct {
	http.ResponseWriter
	note *note
}

func (r *recorder) WriteHeader(status int) {
	if r.note.status == 0 && status >= 200 {
		r.note.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(data []byte) (int, error) {
	if r.note.status == 0 {
		r.note.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(data)
	r.note.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach what is below.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// seconds is a duration for Retry-After: whole, at least 1.
func seconds(d time.Duration) string {
	return strconv.Itoa(max(int(math.Ceil(d.Seconds())), 1))
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
