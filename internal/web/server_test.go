package web

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// server misbehaves on command.
type server struct {
	*httptest.Server
	mu     sync.Mutex
	faults []http.HandlerFunc // one a request; after the last the server behaves
	asked  int
}

const body = "a picture"

func newServer(t *testing.T, faults ...http.HandlerFunc) *server {
	t.Helper()
	s := &server{faults: faults}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked++
	answer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) })
	if len(s.faults) > 0 {
		answer, s.faults = s.faults[0], s.faults[1:]
	}
	s.mu.Unlock()
	answer(w, r)
}

// local is a Client that may reach a test's server and keeps no pauses; heard gets how long they would have been.
func local(heard *[]time.Duration) *Client {
	return New(Options{PerHost: 4, Timeout: 10 * time.Second, MaxBytes: 1000, AllowPrivate: true, Shorten: func(d time.Duration) time.Duration {
		if heard != nil {
			*heard = append(*heard, d)
		}
		return 0
	}})
}

func status(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

func redirect(to string) http.HandlerFunc { return status(http.StatusFound, "Location", to) }

// cut announces n bytes, sends a few and ends the connection.
func cut(n int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(n))
		_, _ = w.Write([]byte(body))
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}

// silent sends a few bytes and then nothing until the client leaves.
func silent(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Length", "100")
	_, _ = w.Write([]byte(body))
	w.(http.Flusher).Flush()
	<-r.Context().Done()
}

// endless sends without saying how much.
func endless(w http.ResponseWriter, r *http.Request) {
	for r.Context().Err() == nil {
		if _, err := w.Write(make([]byte, 500)); err != nil {
			return
		}
		w.(http.Flusher).Flush()
	}
}

func times(n int, fault http.HandlerFunc) (faults []http.HandlerFunc) {
	for range n {
		faults = append(faults, fault)
	}
	return faults
}
