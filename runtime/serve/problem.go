package serve

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"
)

// The codes of answers that say what went wrong, which stay the same over versions. A Backend has some of its own, such as
// that a user is not known.
const (
	codeBadRequest   = "bad_request"
	codeUnauthorized = "unauthorized"
	codeForeign      = "foreign_origin"
	codeNotFound     = "not_found"
	codeNoMethod     = "method_not_allowed"
	codeReadTimeout  = "read_timeout"
	codeTooLarge     = "too_large"
	codeMediaType    = "unsupported_media_type"
	codeTooLong      = "too_long"
	codeNoCaptioner  = "no_captioner"
	codeOverloaded   = "overloaded"
	codeRateLimited  = "rate_limited"
	codeGone         = "client_gone" // mostly for the log: whoever closed but their own side reads it
	codeInternal     = "internal"
	codeReloadFailed = "reload_failed"
	codeReloading    = "reloading"
	codeNotReady     = "not_ready"
	codeTimeout      = "timeout"
)

// statusGone is what logs and metrics say of a client that hung up, as nginx does. net/http cannot tell one that closed but
// its sending side from it: that one reads the status, and not that all went well.
const (
	statusGone = 499
	titleGone  = "Client Closed Request"
)

// Problem is an error as RFC 9457 has it, with a code for programs, the field of the request and the id of the request.
type Problem struct {
	Title     string `json:"title" doc:"Name of the status"`
	Status    int    `json:"status" minimum:"400" maximum:"599" doc:"HTTP status"`
	Code      string `json:"code" doc:"What went wrong, for programs; stays the same over versions"`
	Detail    string `json:"detail" doc:"What went wrong, for people"`
	Field     string `json:"field,omitempty" doc:"Where in the request, such as candidates[3]"`
	RequestID string `json:"request_id" doc:"The X-Request-Id of the answer, as in the log"`
}

// refusal is an Error that asks to come back later.
type refusal struct {
	what  *Error
	after time.Duration
}

func (r *refusal) Error() string { return r.what.Error() }
func (r *refusal) Unwrap() error { return r.what }

func malformed(field, detail string) error {
	return &Error{Status: http.StatusBadRequest, Code: codeBadRequest, Detail: detail, Field: field}
}

// mistake is what an error says to the client. Errors that are not for clients become a 500 without their text.
func mistake(ctx context.Context, err error) *Error {
	var known *Error
	switch {
	case errors.As(err, &known) && known.Status >= 400 && known.Status < 600:
		return known
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil:
		return &Error{Status: http.StatusGatewayTimeout, Code: codeTimeout, Detail: "the time for this request ran out; give it more with X-Request-Timeout, or ask for less"}
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return &Error{Status: statusGone, Code: codeGone, Detail: "the client closed its side of the connection before the answer was there"}
	default:
		return &Error{Status: http.StatusInternalServerError, Code: codeInternal, Detail: "something went wrong here; the log has it under this request id"}
	}
}

// fail answers with an error, and notes it for the log.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	note := noteOf(r.Context())
	wrong := mistake(r.Context(), err)
	note.code, note.err = wrong.Code, err
	var later *refusal
	if errors.As(err, &later) {
		w.Header().Set("Retry-After", seconds(later.after))
	}
	problem := Problem{
		Title: cmp.Or(http.StatusText(wrong.Status), titleGone), Status: wrong.Status, Code: wrong.Code, Detail: wrong.Detail, Field: wrong.Field, RequestID: note.id,
	}
	if wrong.Code == codeInternal {
		problem.Field = ""
	}
	_ = write(w, wrong.Status, "application/problem+json", problem)
}
