package serve_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"mllm4rec/runtime/serve"
	"mllm4rec/runtime/serve/servetest"
)

// options are those of a test with a fake behind it.
func options(fake *servetest.Fake) serve.Options {
	return serve.Options{
		Open: fake.Open, Version: "test", Addr: "127.0.0.1:0", Queue: 0.5, Timeout: 30 * time.Second, Read: 10 * time.Second, Drain: 10 * time.Second,
		BodyBytes: 1 << 20, PictureBytes: 1 << 20, Log: slog.New(slog.DiscardHandler),
	}
}

// start serves with opened models until the test ends.
func start(t *testing.T, o serve.Options) *httptest.Server {
	t.Helper()
	server := newServer(t, o)
	if err := server.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	return listen(t, server)
}

func newServer(t *testing.T, o serve.Options) *serve.Server {
	t.Helper()
	server, err := serve.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return server
}

func listen(t *testing.T, server *serve.Server) *httptest.Server {
	t.Helper()
	listener := httptest.NewServer(server.Handler())
	t.Cleanup(listener.Close)
	return listener
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// problem is the body as a Problem.
func (a answer) problem(t *testing.T) serve.Problem {
	t.Helper()
	var p serve.Problem
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		t.Fatalf("%v in %q", err, a.body)
	}
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("a problem comes as %q", got)
	}
	if p.Status != a.status || p.RequestID == "" || p.RequestID != a.header.Get("X-Request-Id") || p.Title == "" {
		t.Errorf("status %d, header %v: the problem says %+v", a.status, a.header, p)
	}
	return p
}

// send sends a request with headers "Name: value".
func send(t *testing.T, method, url, body string, headers ...string) answer {
	t.Helper()
	a, err := trySend(t.Context(), method, url, body, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func trySend(ctx context.Context, method, url, body string, headers ...string) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/json")
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(text)}, err
}

// gate holds work back until it is opened, and counts who stands before it.
type gate struct {
	arrived, open chan struct{}
}

func newGate() *gate { return &gate{arrived: make(chan struct{}, 1000), open: make(chan struct{})} }

func (g *gate) work(ctx context.Context) error {
	g.arrived <- struct{}{}
	select {
	case <-g.open:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// eventually waits for what another goroutine does soon.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); {
		if time.Now().After(deadline) {
			t.Fatalf("10 s later still not: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// compact is JSON without spaces.
func compact(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	if err := json.Compact(&out, []byte(text)); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return out.String()
}
