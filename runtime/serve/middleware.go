package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/rs/cors"
)

// wrap puts around the routes what every request goes through, the outermost first: note and log, panics, traces, headers,
// other origins, keys.
func (s *Server) wrap(h http.Handler) http.Handler {
	h = s.keyed(h)
	h = s.crossOrigin(h)
	h = s.headers(h)
	h = s.traced(h)
	h = s.caught(h)
	return s.logged(h)
}

// logged gives a request its id, and writes one line when it is over.
func (s *Server) logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began, n := time.Now(), &note{id: requestID(r), route: s.routeOf(r)}
		leave := s.flights.enter()
		defer leave()
		s.metrics.inFlight.Inc()
		defer s.metrics.inFlight.Dec()
		w.Header().Set("X-Request-Id", n.id)
		defer func() {
			took := time.Since(began)
			s.metrics.answered(n, took)
			s.logLine(r, n, took)
		}()
		next.ServeHTTP(&recorder{w, n}, r.WithContext(context.WithValue(r.Context(), noteKey{}, n)))
	})
}

func (s *Server) logLine(r *http.Request, n *note, took time.Duration) {
	level := slog.LevelInfo
	switch n.route {
	case "/healthz", "/readyz", "/metrics":
		level = slog.LevelDebug
	}
	fields := []slog.Attr{
		slog.String("id", n.id), slog.String("method", r.Method), slog.String("path", cutString(r.URL.Path, 200)), slog.Int("status", n.status),
		slog.Float64("ms", milliseconds(took)), slog.Int64("bytes", n.bytes), slog.String("from", r.RemoteAddr),
	}
	if n.queue > 0 {
		fields = append(fields, slog.Float64("queue_ms", milliseconds(n.queue)))
	}
	if n.key != "" {
		fields = append(fields, slog.String("key", n.key))
	}
	if n.code != "" {
		fields = append(fields, slog.String("code", n.code), slog.String("error", cutString(n.err.Error(), 1000)))
	}
	if n.status >= http.StatusInternalServerError && n.code != codeNotReady && n.code != codeTimeout {
		level = slog.LevelError
	}
	s.log.LogAttrs(r.Context(), level, "request", fields...)
}

func cutString(text string, bytes int) string {
	if len(text) <= bytes {
		return text
	}
	return strings.ToValidUTF8(text[:bytes], "") + "…"
}

// caught turns a panic into a 500, or breaks the connection where an answer has begun.
func (s *Server) caught(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if err, is := p.(error); is && errors.Is(err, http.ErrAbortHandler) {
				panic(p)
			}
			n := noteOf(r.Context())
			s.log.Error("panic", "id", n.id, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			if n.status != 0 {
				panic(http.ErrAbortHandler)
			}
			s.fail(w, r, fmt.Errorf("panic: %v", p))
		}()
		next.ServeHTTP(w, r)
	})
}

// headers are those of every answer: a page may load from here alone, may not be framed, and types are not guessed. A service
// that stops ends the connection.
func (s *Server) headers(next http.Handler) http.Handler {
	const policy = "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		if strings.HasPrefix(r.URL.Path, "/v") || strings.HasPrefix(r.URL.Path, "/-/") {
			h.Set("Cache-Control", "no-store")
		}
		if s.stopping.Load() {
			h.Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// crossOrigin lets pages of the named origins call, and no others: a browser's request from elsewhere is refused, because a
// page of a stranger may reach a service on loopback through its visitor.
func (s *Server) crossOrigin(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	all := false
	for _, origin := range s.options.Origins {
		if all = all || origin == "*"; origin != "*" {
			_ = protection.AddTrustedOrigin(origin) // New has checked it
		}
	}
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, &Error{Status: http.StatusForbidden, Code: codeForeign, Field: "Origin", Detail: "pages of this origin may not call; serve.origins names those that may"})
	}))
	if !all {
		next = protection.Handler(next)
	}
	if len(s.options.Origins) == 0 {
		return next
	}
	return cors.New(cors.Options{
		AllowedOrigins: s.options.Origins, AllowedMethods: []string{http.MethodGet, http.MethodPost},
		AllowedHeaders: []string{"Authorization", "Content-Type", "X-API-Key", "X-Request-Id", "X-Request-Timeout"},
		ExposedHeaders: []string{"X-Request-Id", "X-Truncated", "Retry-After"}, MaxAge: 600,
	}).Handler(next)
}

// keyed asks for a key where there are any, and holds its owner to the rate. The probes, the metrics, the documentation and
// the page need none: they show no data of the run.
func (s *Server) keyed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		keys := s.secrets.Load().keys
		if keys == nil || !needsKey(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		owner, found := keys.Find(secretOf(r))
		if !found {
			w.Header().Set("WWW-Authenticate", `Bearer realm="mllm4rec"`)
			s.fail(w, r, &Error{Status: http.StatusUnauthorized, Code: codeUnauthorized, Detail: "send an API key, as Authorization: Bearer KEY or as X-API-Key: KEY"})
			return
		}
		noteOf(r.Context()).key = owner.Name
		if wait, ok := owner.Allow(time.Now()); !ok {
			s.fail(w, r, &refusal{&Error{Status: http.StatusTooManyRequests, Code: codeRateLimited, Detail: "this key sends more requests than it may"}, wait})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// needsKey says which paths show data or do work.
func needsKey(path string) bool {
	for _, prefix := range []string{"/v1/", "/v2/", "/rerank", "/-/"} {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}

func secretOf(r *http.Request) string {
	if kind, secret, found := strings.Cut(r.Header.Get("Authorization"), " "); found && strings.EqualFold(kind, "Bearer") {
		return strings.TrimSpace(secret)
	}
	return r.Header.Get("X-API-Key")
}
