package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"mllm4rec/runtime/serve/key"
)

// Options say what is served and within which limits.
type Options struct {
	// Open opens the models, at the start and for each reload.
	Open    func(context.Context, Observer) (Backend, error)
	Version string
	// Addr is HOST:PORT; port 0 is a free one.
	Addr string
	// TLSCert and TLSKey are PEM files, read at the start and for each reload; empty means plain HTTP.
	TLSCert, TLSKey string
	// Queue is how many requests may wait for each that runs.
	Queue float64
	// Timeout bounds a request, Read its header and body, Drain the wait for requests when the service stops.
	Timeout, Read, Drain    time.Duration
	BodyBytes, PictureBytes int64
	// Keys reads the API keys, at the start and for each reload; nil asks for none.
	Keys func() (*key.Ring, error)
	// Origins are those whose pages may call: scheme://host, or * for all.
	Origins []string
	// Admin serves POST /-/reload.
	Admin bool
	// Log gets a line a request and what else happens.
	Log *slog.Logger
	// Tracer makes the spans; nil makes none.
	Tracer trace.TracerProvider
	// Reload asks for a reload: SIGHUP. Nil never does.
	Reload <-chan os.Signal
	// Opened is told once, when requests are answered.
	Opened func(Opened)
}

// Opened says that the service is ready.
type Opened struct {
	URL  string        `json:"url"`
	Info Info          `json:"info"`
	Took time.Duration `json:"took_ns"`
}

// Server answers requests with the models that are open.
type Server struct {
	options     Options
	log         *slog.Logger
	tracer      trace.Tracer
	metrics     *metrics
	allRoutes   []route
	mux         *http.ServeMux // of allRoutes
	handler     http.Handler
	shelf       shelf
	flights     *flights
	connections *connections
	bodies      bodies
	documents   atomic.Pointer[document]
	secrets     atomic.Pointer[secrets]
	stopping    atomic.Bool
	reloads     chan struct{} // a token for each reload that goes on or waits
	opening     chan struct{} // a token while somebody opens models
	closing     sync.WaitGroup
	tls         *tls.Config
	// mostConnections is the constant, less in tests.
	mostConnections int
}

// New makes a server that has not opened its models. Handler answers then that it is not ready; Run opens them.
func New(o Options) (*Server, error) {
	if o.Tracer == nil {
		o.Tracer = noop.NewTracerProvider()
	}
	s := &Server{
		options: o, log: o.Log, tracer: o.Tracer.Tracer("mllm4rec/runtime/serve"), metrics: newMetrics(o.Version), flights: newFlights(), connections: newConnections(),
		reloads: make(chan struct{}, 2), opening: make(chan struct{}, 1), mostConnections: mostConnections,
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	s.allRoutes = s.routes()
	document := s.document(Limits{})
	s.documents.Store(&document)
	s.handler = s.wrap(s.routed())
	return s, nil
}

// check finds what is wrong with the options before anything is opened.
func (s *Server) check() error {
	for _, origin := range s.options.Origins {
		u, err := url.Parse(origin)
		if origin != "*" && (err != nil || u.Host == "" || u.Scheme == "" || origin != u.Scheme+"://"+u.Host) {
			return fmt.Errorf("origin %q: write scheme://host, such as https://shop.example, or *", origin)
		}
	}
	if (s.options.TLSCert == "") != (s.options.TLSKey == "") {
		return errors.New("TLS needs both a certificate and its key")
	}
	read, err := s.readSecrets()
	if err != nil {
		return err
	}
	s.secrets.Store(read)
	if s.options.TLSCert != "" {
		s.tls = &tls.Config{
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &s.secrets.Load().certificate, nil },
			MinVersion:     tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		}
	}
	return nil
}

// secrets are read at the start and for each reload.
type secrets struct {
	keys        *key.Ring // nil where none are asked for
	certificate tls.Certificate
}

func (s *Server) readSecrets() (*secrets, error) {
	var read secrets
	var err error
	if s.options.Keys != nil {
		if read.keys, err = s.options.Keys(); err != nil {
			return nil, err
		}
	}
	if s.options.TLSCert != "" {
		if read.certificate, err = tls.LoadX509KeyPair(s.options.TLSCert, s.options.TLSKey); err != nil {
			return nil, fmt.Errorf("TLS: %w", err)
		}
	}
	return &read, nil
}

// Open opens the models. Run does it; it is for those who use Handler in a server of their own.
func (s *Server) Open(ctx context.Context) error {
	done, err := s.alone(ctx)
	if err != nil {
		return err
	}
	defer done()
	m, err := s.open(ctx)
	if err == nil {
		s.install(m)
	}
	return err
}

// Handler answers all requests.
func (s *Server) Handler() http.Handler { return s.handler }

// routed answers by the routes; what is none of them is the page's or not there.
func (s *Server) routed() http.Handler {
	s.mux = http.NewServeMux()
	for _, rt := range s.allRoutes {
		s.mux.HandleFunc(rt.method+" "+rt.path, s.serveRoute(rt))
	}
	s.mux.HandleFunc("GET /docs/style.css", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		_, _ = w.Write(docsStyle)
	})
	files := demo()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.routeOf(r) != "" {
			s.mux.ServeHTTP(w, r)
			return
		}
		s.unrouted(files, w, r)
	})
}

// routeOf is the path of the route that fits a request; "" where none does.
func (s *Server) routeOf(r *http.Request) string {
	_, pattern := s.mux.Handler(r)
	_, path, _ := strings.Cut(pattern, " ")
	return path
}

// unrouted answers what is no route: a file of the page, a wrong method, or nothing.
func (s *Server) unrouted(files demoFiles, w http.ResponseWriter, r *http.Request) {
	if allowed := methodsOf(s.mux, r); len(allowed) > 0 {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		s.fail(w, r, &Error{Status: http.StatusMethodNotAllowed, Code: codeNoMethod, Detail: fmt.Sprintf("%.20q is not taken here; %s", r.Method, strings.Join(allowed, ", "))})
		return
	}
	if (r.Method == http.MethodGet || r.Method == http.MethodHead) && files.has(r.URL.Path) {
		files.ServeHTTP(w, r)
		return
	}
	s.fail(w, r, &Error{Status: http.StatusNotFound, Code: codeNotFound, Detail: "there is nothing here; /docs lists what is"})
}

// methodsOf are those that the path of a request takes.
func methodsOf(mux *http.ServeMux, r *http.Request) []string {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
		other := &http.Request{Method: method, URL: r.URL, Host: r.Host}
		if _, pattern := mux.Handler(other); pattern != "" {
			allowed = append(allowed, method)
		}
	}
	return allowed
}
