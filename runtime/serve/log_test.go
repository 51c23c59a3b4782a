package serve_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"mllm4rec/runtime/serve/servetest"
)

// lines are a log that a test reads while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewJSONHandler(l, nil)) }

func TestEachRequestIsOneLineWithItsID(t *testing.T) {
	t.Parallel()
	var log lines
	o := options(&servetest.Fake{})
	o.Log = log.logger()
	server := start(t, o)
	a := send(t, http.MethodPost, server.URL+"/v1/recommend", `{"user_id": 99}`, "X-Request-Id: mine-1")
	if got := a.header.Get("X-Request-Id"); got != "mine-1" {
		t.Errorf("the answer has id %q", got)
	}
	send(t, http.MethodGet, server.URL+"/healthz", "")
	eventually(t, "a line is there", func() bool { return strings.Count(log.String(), "\n") == 1 })
	var line struct {
		Msg, ID, Method, Path, Code, Error string
		Status                             int
	}
	if err := json.Unmarshal([]byte(log.String()), &line); err != nil {
		t.Fatal(err)
	}
	if line.ID != "mine-1" || line.Status != 404 || line.Code != "unknown_user" || line.Path != "/v1/recommend" || line.Msg != "request" {
		t.Errorf("got %+v", line)
	}
}

func TestIDsThatAreNotSaneAreReplaced(t *testing.T) {
	t.Parallel()
	server := start(t, options(&servetest.Fake{}))
	seen := map[string]bool{}
	for _, id := range []string{"", "a b", strings.Repeat("x", 129), "<script>"} {
		got := send(t, http.MethodGet, server.URL+"/healthz", "", "X-Request-Id: "+id).header.Get("X-Request-Id")
		if got == id || len(got) != 24 || seen[got] {
			t.Errorf("%q became %q", id, got)
		}
		seen[got] = true
	}
}
