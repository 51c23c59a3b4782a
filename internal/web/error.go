package web

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"
)

// Error says why an address gave nothing. It never holds the address, which may hold a key.
type Error struct {
	// Reason is the same for equal causes, so that it can be counted: one of the constants, or "answered 403 Forbidden".
	Reason string
	// Detail may say more about this case.
	Detail string
	// Status is that of the answer, 0 where there was none.
	Status int
	// HostDown says that the cause is the host's, and that its other files will hardly fare better.
	HostDown bool
}

// Reasons of an Error.
const (
	NoAddress        = "no http or https address"
	NotFound         = "not found"
	NotPublic        = "address refused"
	TooLarge         = "too large"
	TooManyRedirects = "too many redirects"
	Redirected       = "redirected"
	TimedOut         = "timed out"
	CutOff           = "cut off"
	NoSuchHost       = "no such host"
	NotConnected     = "could not connect"
	NotTrusted       = "certificate not trusted"
	ComeBackLater    = "asks to come back later"
	NetworkError     = "network error"
)

// Error is reason and detail.
func (e *Error) Error() string {
	if e.Detail == "" {
		return e.Reason
	}
	return e.Reason + ": " + e.Detail
}

func tooLarge(limit int64) error {
	return &Error{Reason: TooLarge, Detail: fmt.Sprintf("more than %d bytes", limit)}
}

// explain turns what the last try brought into an *Error, or nil where it brought a body.
func explain(response *http.Response, err error) error {
	if e, ok := errors.AsType[*Error](err); ok { // a refused redirect comes with its answer
		return e
	}
	if response != nil && response.StatusCode != http.StatusOK {
		return statusError(response)
	}
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // without the address
	}
	return networkError(err)
}

func statusError(response *http.Response) error {
	e := &Error{Status: response.StatusCode, Reason: fmt.Sprintf("answered %d %s", response.StatusCode, http.StatusText(response.StatusCode))}
	switch {
	case e.Status == http.StatusNotFound || e.Status == http.StatusGone:
		e.Reason = NotFound
	case retryAfter(response) > longestPause:
		e.Reason, e.Detail, e.HostDown = ComeBackLater, fmt.Sprintf("in %s", retryAfter(response).Round(time.Second)), true
	case e.Status == http.StatusTooManyRequests || e.Status >= 500:
		e.HostDown = true
	}
	return e
}

func networkError(err error) error {
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() {
		return &Error{Reason: TimedOut, HostDown: true}
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return &Error{Reason: NoSuchHost, Detail: dns.Name, HostDown: true}
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return &Error{Reason: NotTrusted, HostDown: true}
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		return &Error{Reason: CutOff}
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return &Error{Reason: NotConnected, Detail: op.Err.Error(), HostDown: true}
	}
	return &Error{Reason: NetworkError, Detail: err.Error()}
}
