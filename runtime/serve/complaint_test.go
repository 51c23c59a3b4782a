package serve

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestConnectionsThatCannotBeTakenAreLogged(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := &Server{log: slog.New(slog.NewTextHandler(&log, nil))}
	complaints := s.httpServer().ErrorLog
	complaints.Print("http: TLS handshake error from 192.0.2.1:5000: EOF")
	if log.Len() > 0 {
		t.Errorf("a stranger fills the log: %s", &log)
	}
	complaints.Printf("http: Accept error: %v; retrying in %v", "accept tcp: too many open files", "1s")
	if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "too many open files") {
		t.Errorf("the log has %q", &log)
	}
}
