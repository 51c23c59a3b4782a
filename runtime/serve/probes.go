package serve

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// State is the answer of the routes for those who run the service.
type State struct {
	Status string `json:"status"`
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) error {
	return write(w, http.StatusOK, "application/json", State{"alive"})
}

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) error {
	if s.stopping.Load() {
		return &refusal{&Error{Status: http.StatusServiceUnavailable, Code: codeNotReady, Detail: "the service is stopping"}, time.Second}
	}
	m, err := s.shelf.borrow()
	if err != nil {
		return err
	}
	m.giveBack()
	return write(w, http.StatusOK, "application/json", State{"ready"})
}

// reload is not bound by the time limit of requests, and goes on when the client hangs up: half a reload is none.
func (s *Server) reload(w http.ResponseWriter, r *http.Request) error {
	clearDeadlines(w)
	err := s.Reload(context.WithoutCancel(r.Context()))
	if errors.Is(err, errReloads) {
		return err
	}
	if err != nil {
		return &Error{Status: http.StatusInternalServerError, Code: codeReloadFailed, Detail: "what was before goes on: " + err.Error()}
	}
	return write(w, http.StatusOK, "application/json", State{"reloaded"})
}

// clearDeadlines takes the limits of reading and writing off the connection.
func clearDeadlines(w http.ResponseWriter) {
	bodyIsRead(w)
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // fails where there is no connection, in tests
}
