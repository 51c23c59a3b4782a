package serve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/netutil"
)

const (
	// idle is how long a connection may stay open between two requests.
	idle = 2 * time.Minute
	// mostConnections are open at once; what comes beyond waits in the kernel. An idle one takes about 20 KB, and the file
	// descriptors that a process may have are often a million.
	mostConnections = 8192
	// linger is how long a stopping service waits for what is on the wire: first it tells clients to close their connections,
	// then it closes the port, and at last the connections that are idle. A request that crosses with a closing would be lost.
	linger = 250 * time.Millisecond
	// shy is how long a stopping service waits for connections that were opened and on which nothing was sent yet.
	shy = 2 * time.Second
)

// Run listens, opens the models, and answers until ctx ends. Then it is not ready at once, waits for the requests that it
// has, at most for Options.Drain, and returns nil. The address is taken before the models are opened, so that a port in use
// is told at once.
func (s *Server) Run(ctx context.Context) error {
	began := time.Now()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	listener, err := net.Listen("tcp", s.options.Addr)
	if err != nil {
		return fmt.Errorf("%w; name another address with --addr", err)
	}
	listener = netutil.LimitListener(port{listener}, s.mostConnections)
	server := s.httpServer()
	served := make(chan error, 1)
	go func() { served <- s.serve(server, listener) }()
	if err := s.Open(ctx); err != nil {
		_ = server.Close() // of a service that has answered nothing
		if errors.Is(err, context.Canceled) && ctx.Err() != nil {
			return nil
		}
		return err
	}
	m, err := s.shelf.borrow()
	if err != nil {
		return err
	}
	s.log.Info("ready", "address", listener.Addr().String(), "ms", milliseconds(time.Since(began)), "models", m.info.versions())
	if s.options.Opened != nil {
		s.options.Opened(Opened{URL: s.url(listener), Info: m.info, Took: time.Since(began)})
	}
	m.giveBack()
	go s.reloadOnSignal(ctx) // which nobody waits for: opening models may take longer than stopping may
	select {
	case err = <-served: // the listener broke
	case <-ctx.Done():
		err = s.drain(server, listener)
	}
	return err
}

func (s *Server) url(listener net.Listener) string {
	if s.tls != nil {
		return "https://" + listener.Addr().String()
	}
	return "http://" + listener.Addr().String()
}

// httpServer bounds how slow a client may be: with its header, its body, the reading of its answer, and between requests.
func (s *Server) httpServer() *http.Server {
	const headerBytes = 16 << 10
	return &http.Server{
		Handler: s.handler, TLSConfig: s.tls, MaxHeaderBytes: headerBytes, IdleTimeout: idle, ConnState: s.connections.follow,
		ReadHeaderTimeout: s.options.Read, ReadTimeout: s.options.Read, WriteTimeout: 2*s.options.Read + s.options.Timeout,
		ErrorLog: log.New(complaints{s.log}, "", 0),
	}
}

func (s *Server) serve(server *http.Server, listener net.Listener) error {
	if s.tls != nil {
		return server.ServeTLS(listener, "", "")
	}
	return server.Serve(listener)
}

// reloadOnSignal reloads, one after the other, until ctx ends.
func (s *Server) reloadOnSignal(ctx context.Context) {
	for {
		select {
		case <-s.options.Reload:
			_ = s.Reload(ctx) // which logs why not
		case <-ctx.Done():
			return
		}
	}
}

// complaints are what net/http has to say. It speaks of broken connections and handshakes of strangers, which is for
// debugging, and of connections that it cannot take, for want of file descriptors: then the service is not reached.
type complaints struct{ log *slog.Logger }

func (c complaints) Write(line []byte) (int, error) {
	level := slog.LevelDebug
	if bytes.Contains(line, []byte("Accept error")) {
		level = slog.LevelError
	}
	c.log.Log(context.Background(), level, string(bytes.TrimSpace(line)))
	return len(line), nil
}

// drain lets the requests end that had begun, while the port still answers: whoever asks /readyz learns that nothing should
// be sent any more, and answers say that their connection ends. Then it closes the port and waits for those that came meanwhile.
func (s *Server) drain(server *http.Server, listener net.Listener) error {
	began := time.Now()
	s.stopping.Store(true)
	s.log.Info("stopping: not ready from now on", "drain_seconds", s.options.Drain.Seconds())
	ctx, cancel := context.WithTimeout(context.Background(), s.options.Drain)
	defer cancel()
	s.settle(ctx)
	_ = listener.Close() // from now on connections are refused
	s.settle(ctx)
	s.hear(ctx) // those that were taken before are answered, which Shutdown would not
	if err := server.Shutdown(ctx); err != nil {
		s.log.Warn("requests were cut off: they did not end in time", "seconds", s.options.Drain.Seconds())
		_ = server.Close() // ends their contexts
	}
	const free = 5 * time.Second // for work that was cut off to notice
	ctx, cancelFree := context.WithTimeout(context.Background(), free)
	defer cancelFree()
	if err := s.closeModels(ctx); err != nil {
		s.log.Warn("closing the models", "error", err)
	}
	s.log.Info("stopped", "ms", milliseconds(time.Since(began)))
	return nil
}

// settle waits until the requests that are under way have ended, and for a moment in which those come that are on the wire.
func (s *Server) settle(ctx context.Context) {
	moment, cancel := context.WithTimeout(ctx, linger)
	defer cancel()
	select {
	case <-s.flights.landed():
	case <-ctx.Done():
	}
	<-moment.Done()
}

// hear waits, at most for shy, until no connection is left that was taken and not answered, and then ends those on which nothing
// was sent. None comes any more: the port is closed.
func (s *Server) hear(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, shy)
	defer cancel()
	select {
	case <-s.connections.silent():
	case <-ctx.Done():
		s.connections.hangUp()
	}
}

// versions names the models with the beginnings of their fingerprints.
func (i Info) versions() string {
	var all []string
	for _, model := range i.Models {
		all = append(all, fmt.Sprintf("%s %.12s", model.Kind, model.Fingerprint))
	}
	return strings.Join(all, ", ")
}

// String is a line for people: address, models, time until ready.
func (o Opened) String() string {
	line := fmt.Sprintf("serving %s on %s:", o.Info.Name, o.URL)
	for _, model := range o.Info.Models {
		line += fmt.Sprintf(" %s %.12s (%s, %d at once),", model.Kind, model.Fingerprint, model.Provider, model.Slots)
	}
	return fmt.Sprintf("%s %d items, %d users, ready in %.1f s", line, o.Info.Items, o.Info.Users, o.Took.Seconds())
}
