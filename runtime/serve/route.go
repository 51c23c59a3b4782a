package serve

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mllm4rec/runtime/serve/admit"
)

// route is one operation: how it is called, what it does, and what the documentation says of it.
type route struct {
	method, path string
	id           string // of OpenAPI
	summary      string
	text         string
	params       []*huma.Param
	body         *content // what it reads; nil for nothing
	answer       content  // of status 200
	refusals     []int    // statuses of its problems, beside those that any request may get
	maxBytes     int64    // of the body
	handle       func(http.ResponseWriter, *http.Request) error
}

// content is a body in the documentation: a value of its type, of one of several types, or a schema.
type content struct {
	kind    string // media type; "" is JSON
	value   any
	oneOf   []any
	schema  *huma.Schema
	example any
}

// serveRoute runs the route within its limits of time and size.
func (s *Server) serveRoute(rt route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		limit, err := s.timeLimit(r)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), limit)
		defer cancel()
		r = r.WithContext(ctx)
		if err = checkQuery(rt, r); err == nil {
			err = s.handle(rt, w, r)
		}
		if err != nil {
			s.fail(w, r, err)
		}
	}
}

// handle runs the route where there is room for the request's body.
func (s *Server) handle(rt route, w http.ResponseWriter, r *http.Request) error {
	if err := limitBody(rt, w, r); err != nil {
		return err
	}
	give, err := s.bodies.take(r, rt.maxBytes)
	if err != nil {
		s.metrics.refused.WithLabelValues("body").Inc()
		return err
	}
	defer give()
	return rt.handle(w, r)
}

// checkQuery refuses parameters that the route does not know, and those that are there twice.
func checkQuery(rt route, r *http.Request) error {
	query, err := url.ParseQuery(r.URL.RawQuery) // URL.Query leaves out what it cannot read
	if err != nil {
		return malformed("", "the query cannot be read: "+err.Error())
	}
	for name, values := range query {
		known := false
		for _, param := range rt.params {
			known = known || param.In == "query" && param.Name == name
		}
		if !known {
			return malformed(fmt.Sprintf("%.100s", name), "there is no such parameter")
		}
		if len(values) > 1 {
			return malformed(name, "is there more than once")
		}
	}
	return nil
}

// limitBody bounds what may be read of the body.
func limitBody(rt route, w http.ResponseWriter, r *http.Request) error {
	if rt.maxBytes > 0 && r.ContentLength > rt.maxBytes {
		return badBody(&http.MaxBytesError{Limit: rt.maxBytes})
	}
	r.Body = http.MaxBytesReader(w, r.Body, rt.maxBytes)
	return nil
}

// timeLimit is how long a request may take: what its header X-Request-Timeout says, within the limit of the options.
func (s *Server) timeLimit(r *http.Request) (time.Duration, error) {
	given := r.Header.Values("X-Request-Timeout")
	if len(given) == 0 {
		return s.options.Timeout, nil
	}
	limit, err := parseTimeout(given[0])
	if err != nil {
		return 0, malformed("X-Request-Timeout", err.Error())
	}
	return min(limit, s.options.Timeout), nil
}

// timeoutForm is that of X-Request-Timeout: a number, or a duration of Go. (?=.*[1-9]) in front of it, which Go's regular
// expressions do not know, says that it is above 0.
const timeoutForm = `([0-9]{1,9}(\.[0-9]{1,9})?|([0-9]{1,9}(\.[0-9]{1,9})?(ms|s|m|h)){1,4})$`

var timeoutPattern = regexp.MustCompile("^" + timeoutForm)

// parseTimeout reads seconds, such as 0.5, or a duration of Go, such as 500ms. It is above 0.
func parseTimeout(text string) (time.Duration, error) {
	if !timeoutPattern.MatchString(text) || !strings.ContainsAny(text, "123456789") {
		return 0, fmt.Errorf("%.50q is no time; give seconds above 0, such as 0.5, or a duration, such as 500ms", text)
	}
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		text += "s"
	}
	limit, err := time.ParseDuration(text)
	if err != nil { // too long for a Duration
		return math.MaxInt64, nil
	}
	return max(limit, 1), nil
}

// enter takes a place of a class. Whoever gets one leaves it.
func (s *Server) enter(m *models, c class) (*admit.Place, error) {
	place, err := m.gates[c].Enter()
	if errors.Is(err, admit.ErrFull) {
		return nil, s.overloaded(m, c)
	}
	return place, err
}

// overloaded refuses a request of a class whose places are all taken.
func (s *Server) overloaded(m *models, c class) error {
	s.metrics.refused.WithLabelValues(string(c)).Inc()
	return &refusal{&Error{Status: http.StatusTooManyRequests, Code: codeOverloaded, Detail: "all places for this kind of work are taken; send the request again later"}, m.gates[c].RetryAfter()}
}

// run does work in a place, when its turn has come. A panic of the work is an error.
func (s *Server) run(ctx context.Context, c class, place *admit.Place, do func(context.Context) (any, error)) (any, error) {
	began := time.Now()
	ctx, waits := s.span(ctx, "queue")
	err := place.Start(ctx)
	waits.End()
	queue := time.Since(began)
	noteOf(ctx).queue = queue
	if err != nil {
		return nil, err
	}
	s.metrics.waited.WithLabelValues(string(c)).Observe(queue.Seconds())
	ctx, works := s.span(ctx, string(c))
	defer works.End()
	answer, err := do(ctx)
	if err != nil {
		return nil, err
	}
	s.tell(answer, queue, time.Since(began))
	return answer, nil
}

// tell puts the times of a request into its answer, and what the answer says of cuts and stages into the metrics.
func (s *Server) tell(answer any, queue, total time.Duration) {
	timings, cut := aboutOf(answer)
	if timings == nil {
		return
	}
	timings.Queue, timings.Total = milliseconds(queue), milliseconds(total)
	s.metrics.stages(*timings)
	if cut != nil {
		s.metrics.cuts(*cut)
	}
}

// aboutOf finds the timings in an answer, and what had to be cut.
func aboutOf(answer any) (*Timings, *Cut) {
	switch a := answer.(type) {
	case *Ranking:
		return &a.Timings, a.Cut
	case *Reranking:
		return &a.Timings, &a.Cut
	case *Caption:
		return &a.Timings, nil
	default:
		return nil, nil
	}
}
