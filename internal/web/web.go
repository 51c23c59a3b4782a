// Package web fetches many small files from addresses that nobody vouches for, as a catalogue of products has them. Bodies
// are bounded in size and time and held in memory; only public addresses are dialled, whatever a name resolves to and
// wherever a redirect leads; a host that is busy or down is asked again after growing, jittered pauses, and one that says
// when (Retry-After) is left alone until then. Big single files that are worth going on with after a cut are for package
// download.
package web

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

const (
	// tries is how often an address is asked, the first time included.
	tries = 4
	// firstPause is the wait before the second try; it doubles up to longestPause. A Retry-After beyond that is not waited for.
	firstPause, longestPause = time.Second, time.Minute
	maxRedirects             = 10
	dialTimeout              = 10 * time.Second
)

// Options bound what a Client does.
type Options struct {
	// PerHost is how many connections a host gets at once.
	PerHost int
	// Timeout is how long one try may take, redirects and body included.
	Timeout time.Duration
	// MaxBytes is the largest body that is taken.
	MaxBytes int64
	// AllowPrivate lets the Client reach addresses that are not public (loopback, private networks, link-local, …), and use
	// the proxy of the environment, which connects to wherever it likes.
	AllowPrivate bool
	// NoRedirects makes a redirect an error.
	NoRedirects bool
	// Shorten, where set, turns the length of a pause into the one that is kept. Tests do not wait.
	Shorten func(time.Duration) time.Duration
}

// Client fetches. Its methods may be called from several goroutines at once.
type Client struct {
	options Options
	retry   *retryablehttp.Client
	pauses  pauses
}

// New makes a Client.
func New(o Options) *Client {
	c := &Client{options: o}
	c.retry = retryablehttp.NewClient()
	c.retry.Logger = nil
	c.retry.HTTPClient = &http.Client{Transport: transport(o), CheckRedirect: c.checkRedirect, Timeout: o.Timeout}
	c.retry.RetryMax = tries - 1
	c.retry.RetryWaitMin, c.retry.RetryWaitMax = firstPause, longestPause
	c.retry.CheckRetry, c.retry.Backoff = checkRetry, c.backoff
	c.retry.ErrorHandler = retryablehttp.PassthroughErrorHandler
	return c
}

func transport(o Options) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	dialer := &net.Dialer{Timeout: dialTimeout}
	if !o.AllowPrivate {
		dialer.Control = publicOnly
		t.Proxy = nil
	}
	t.DialContext = dialer.DialContext
	t.MaxConnsPerHost, t.MaxIdleConnsPerHost = o.PerHost, o.PerHost
	return t
}

// Get returns the body at an http or https address. An address that gives none is an *Error; ctx.Err() comes as it is.
func (c *Client) Get(ctx context.Context, address string, header http.Header) ([]byte, error) {
	if Host(address) == "" {
		return nil, &Error{Reason: NoAddress}
	}
	request, err := retryablehttp.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, &Error{Reason: NoAddress}
	}
	request.Header.Set("User-Agent", "mllm4rec")
	request.Header.Set("Accept-Encoding", "identity") // what is counted and hashed is what is sent
	for name, values := range header {
		request.Header[name] = values
	}
	var body []byte
	request.SetResponseHandler(func(response *http.Response) (err error) {
		body, err = c.read(response)
		return err
	})
	if err := c.pauses.wait(ctx, request.URL.Host); err != nil {
		return nil, err
	}
	response, err := c.retry.Do(request)
	if response != nil {
		defer func() { _ = response.Body.Close() }() // read as far as it is wanted
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err := explain(response, err); err != nil {
		return nil, err
	}
	return body, nil
}

// read takes the body of a good answer; of any other the status is all that counts.
func (c *Client) read(response *http.Response) ([]byte, error) {
	if response.StatusCode != http.StatusOK {
		return nil, nil
	}
	if response.ContentLength > c.options.MaxBytes {
		return nil, tooLarge(c.options.MaxBytes)
	}
	var body bytes.Buffer
	n, err := io.Copy(&body, io.LimitReader(response.Body, c.options.MaxBytes+1))
	if n > c.options.MaxBytes {
		return nil, tooLarge(c.options.MaxBytes)
	}
	return body.Bytes(), err
}

// Host is the host that an http or https address asks, in lower case; empty for any other text.
func Host(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	return strings.ToLower(u.Host)
}

func (c *Client) checkRedirect(next *http.Request, via []*http.Request) error {
	switch {
	case c.options.NoRedirects:
		return &Error{Reason: Redirected}
	case len(via) >= maxRedirects:
		return &Error{Reason: TooManyRedirects}
	case Host(next.URL.String()) == "":
		return &Error{Reason: NoAddress, Detail: "after a redirect"}
	}
	return nil
}
