package download

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// server is a file server that misbehaves on command.
type server struct {
	*httptest.Server
	mu sync.Mutex
	// faults are taken one a request; after the last the server behaves.
	faults []fault
	// requests are the headers of what was asked.
	requests []http.Header
	body     []byte
	etag     string
	date     time.Time
}

// fault answers one request.
type fault func(s *server, w http.ResponseWriter, r *http.Request)

func newServer(t *testing.T, body []byte, faults ...fault) *server {
	t.Helper()
	s := &server{body: body, etag: `"v1"`, faults: faults}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.Header.Clone())
	answer := fault((*server).serve)
	if len(s.faults) > 0 {
		answer, s.faults = s.faults[0], s.faults[1:]
	}
	s.mu.Unlock()
	answer(s, w, r)
}

// serve behaves: ranges, conditions, everything.
func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	if s.etag != "" {
		w.Header().Set("ETag", s.etag)
	}
	http.ServeContent(w, r, "file.zip", s.date, bytes.NewReader(s.body))
}

// cutAfter serves n bytes of what was asked and cuts the connection.
func cutAfter(n int) fault {
	return func(s *server, w http.ResponseWriter, r *http.Request) {
		s.serve(&cutWriter{ResponseWriter: w, left: n}, r)
	}
}

type cutWriter struct {
	http.ResponseWriter
	left int
}

func (c *cutWriter) Write(b []byte) (int, error) {
	if len(b) < c.left {
		c.left -= len(b)
		return c.ResponseWriter.Write(b)
	}
	_, _ = c.ResponseWriter.Write(b[:c.left])
	c.ResponseWriter.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

// status answers with an error and headers in pairs.
func status(code int, header ...string) fault {
	return func(_ *server, w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

// ignoreRange serves the whole file whatever was asked.
func ignoreRange(s *server, w http.ResponseWriter, r *http.Request) {
	r.Header.Del("Range")
	s.serve(w, r)
}

// changeTo makes the file another one before it is served.
func changeTo(body []byte, etag string) fault {
	return func(s *server, w http.ResponseWriter, r *http.Request) {
		s.body, s.etag = body, etag
		s.serve(w, r)
	}
}

// nameless tells nothing by which a changed file could be known.
func nameless(f fault) fault {
	return func(s *server, w http.ResponseWriter, r *http.Request) {
		s.etag = ""
		f(s, w, r)
	}
}

// dated tells nothing but the year.
func dated(year int, f fault) fault {
	return func(s *server, w http.ResponseWriter, r *http.Request) {
		s.date = time.Date(2000+year, 1, 1, 0, 0, 0, 0, time.UTC)
		nameless(f)(s, w, r)
	}
}

// ignoreIfRange serves the range of a changed file, as broken caches do.
func ignoreIfRange(body []byte, etag string) fault {
	return func(s *server, w http.ResponseWriter, r *http.Request) {
		r.Header.Del("If-Range")
		changeTo(body, etag)(s, w, r)
	}
}

// longer announces more bytes than there are.
func longer(s *server, w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", fmt.Sprint(len(s.body)+10))
	w.Header().Set("ETag", s.etag)
	_, _ = w.Write(s.body)
}

// silent sends a few bytes and then nothing until the client leaves.
func silent(s *server, w http.ResponseWriter, r *http.Request) {
	w.Header().Set("ETag", s.etag)
	w.Header().Set("Content-Length", fmt.Sprint(len(s.body)))
	_, _ = w.Write(s.body[:10])
	w.(http.Flusher).Flush()
	<-r.Context().Done()
}

func sum(b []byte) string {
	hash := sha256.Sum256(b)
	return hex.EncodeToString(hash[:])
}
