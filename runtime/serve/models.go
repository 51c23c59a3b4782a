package serve

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"sync"
	"time"

	"mllm4rec/runtime/serve/admit"
)

// class is a kind of work with slots of its own: requests of one class do not wait for those of another.
type class string

const (
	noClass       class = "" // answered from memory at once
	classRetrieve class = "retrieve"
	classRank     class = "rank"
	classCaption  class = "caption"
)

// modelOf is the kind of model whose slots a class has.
var modelOf = map[class]string{classRetrieve: "retriever", classRank: "ranker", classCaption: "captioner"}

// models are an opened backend and those who use it. It is closed when it has been replaced and its last user has gone.
type models struct {
	Backend
	info  Info
	gates map[class]*admit.Gate
	mu    sync.Mutex
	users int
	last  chan struct{} // closed when the last user has gone after retire; nil before retire
}

func newModels(backend Backend, o *Options) *models {
	m := &models{Backend: backend, info: backend.Info(), gates: map[class]*admit.Gate{}}
	m.info.Limits.BodyBytes, m.info.Limits.PictureBytes = int(o.BodyBytes), int(o.PictureBytes)
	for class, kind := range modelOf {
		slots := 1
		if model := m.model(kind); model != nil {
			slots = max(model.Slots, 1)
		}
		m.gates[class] = admit.New(slots, int(math.Ceil(float64(slots)*o.Queue)))
	}
	return m
}

// model is that of a kind, nil where there is none.
func (m *models) model(kind string) *ModelInfo {
	for i := range m.info.Models {
		if m.info.Models[i].Kind == kind {
			return &m.info.Models[i]
		}
	}
	return nil
}

// giveBack ends a use that borrow began.
func (m *models) giveBack() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.users--; m.users == 0 && m.last != nil {
		close(m.last)
	}
}

// retire returns a channel that is closed when the last user has gone. Nobody may borrow the models any more.
func (m *models) retire() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last = make(chan struct{})
	if m.users == 0 {
		close(m.last)
	}
	return m.last
}

// shelf holds the models that answer now.
type shelf struct {
	mu  sync.RWMutex
	now *models // nil before they are opened
}

// borrow returns the models for one request, which gives them back.
func (s *shelf) borrow() (*models, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.now == nil {
		return nil, &refusal{&Error{Status: http.StatusServiceUnavailable, Code: codeNotReady, Detail: "the models are not opened yet"}, time.Second}
	}
	s.now.mu.Lock()
	s.now.users++
	s.now.mu.Unlock()
	return s.now, nil
}

// put makes models answer, and returns those that did before.
func (s *shelf) put(m *models) (old *models) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, s.now = s.now, m
	return old
}

// alone waits until nobody else opens models; done lets the next one do it.
func (s *Server) alone(ctx context.Context) (done func(), err error) {
	select {
	case s.opening <- struct{}{}:
		return func() { <-s.opening }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// open opens a backend through the options, a panic turned into an error.
func (s *Server) open(ctx context.Context) (m *models, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("opening the models: %v", p)
		}
	}()
	backend, err := s.options.Open(ctx, s.metrics.observer())
	if err != nil {
		return nil, err
	}
	return newModels(backend, &s.options), nil
}

var errStopping = errors.New("the service is stopping")

// errReloads is the answer to a reload that finds another one waiting.
var errReloads = &Error{Status: http.StatusConflict, Code: codeReloading, Detail: "a reload goes on and another one waits, which will open what is there then"}

// Reload reads keys and certificate and opens the models anew, and lets them count instead of the old ones; old models are
// closed when their last request has ended. Where one of it fails, all that was before goes on and the error says why. Of two calls at once one waits; more are
// refused, since the one that waits will open what is there then.
func (s *Server) Reload(ctx context.Context) error {
	select {
	case s.reloads <- struct{}{}:
		defer func() { <-s.reloads }()
	default:
		s.log.Warn("reload refused", "error", errReloads)
		return errReloads
	}
	done, err := s.alone(ctx)
	if err != nil {
		return err
	}
	defer done()
	if s.stopping.Load() {
		return errStopping
	}
	read, err := s.readSecrets() // first: it takes no time
	var opened *models
	if err == nil {
		opened, err = s.open(ctx)
	}
	s.metrics.reloaded(err)
	if err != nil {
		s.log.Error("reload failed; what was before it goes on", "error", err)
		return err
	}
	if s.stopping.Load() { // and may have stopped: nobody would close them
		return errors.Join(errStopping, opened.Close())
	}
	s.secrets.Store(read)
	s.install(opened)
	s.log.Info("reloaded", "models", opened.info.versions())
	return nil
}

// install lets models answer, and closes those before them behind their last request.
func (s *Server) install(m *models) {
	document := s.document(m.info.Limits)
	s.documents.Store(&document)
	s.metrics.opened(m)
	old := s.shelf.put(m)
	if old == nil {
		return
	}
	s.closing.Add(1)
	go func() {
		defer s.closing.Done()
		<-old.retire()
		if err := old.Close(); err != nil {
			s.log.Error("closing the old models", "error", err)
		}
	}()
}

// closeModels frees the models when their last requests have ended, or returns when ctx ends.
func (s *Server) closeModels(ctx context.Context) error {
	select {
	case s.opening <- struct{}{}: // and no reload comes after it
	case <-ctx.Done():
		return errors.New("a reload goes on; the process ends without freeing the models")
	}
	old := s.shelf.put(nil)
	done := make(chan error, 1)
	go func() {
		var err error
		if old != nil {
			<-old.retire()
			err = old.Close()
		}
		s.closing.Wait()
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return errors.New("the models still work on requests; the process ends without freeing them")
	}
}
