package web

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// checkRetry asks again where another try may end otherwise: not after what we refuse ourselves, not where there is no such
// host, and not before a Retry-After that is too far away.
func checkRetry(ctx context.Context, response *http.Response, err error) (bool, error) {
	if e, ok := errors.AsType[*Error](err); ok {
		return false, e
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		return false, err
	}
	if err == nil && retryAfter(response) > longestPause {
		return false, nil
	}
	return retryablehttp.DefaultRetryPolicy(ctx, response, err)
}

// backoff is the pause before the next try. The jitter only adds: Retry-After is a promise not to come earlier.
func (c *Client) backoff(first, longest time.Duration, attempt int, response *http.Response) time.Duration {
	wait := min(max(retryablehttp.DefaultBackoff(first, longest, attempt, response), 0), longest)
	wait = c.shorten(wait + rand.N(wait/2+1))
	if response != nil && retryAfter(response) > 0 {
		c.pauses.add(response.Request.URL.Host, wait)
		for r := response.Request; r.Response != nil; { // and those that redirect to it
			r = r.Response.Request
			c.pauses.add(r.URL.Host, wait)
		}
	}
	return wait
}

func (c *Client) shorten(wait time.Duration) time.Duration {
	if c.options.Shorten == nil {
		return wait
	}
	return c.options.Shorten(wait)
}

// retryAfter is what a busy server asks for; 0 where it does not ask.
func retryAfter(response *http.Response) time.Duration {
	wait := retryablehttp.DefaultBackoff(0, 0, 0, response)
	if wait < 0 { // more seconds than a Duration holds
		return math.MaxInt64
	}
	return wait
}

// pauses are the hosts that asked to be left alone.
type pauses struct {
	mu    sync.Mutex
	until map[string]time.Time
}

func (p *pauses) add(host string, wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.until == nil {
		p.until = map[string]time.Time{}
	}
	if until := time.Now().Add(wait); until.After(p.until[host]) {
		p.until[host] = until
	}
}

// wait returns when the host may be asked.
func (p *pauses) wait(ctx context.Context, host string) error {
	p.mu.Lock()
	left := time.Until(p.until[host])
	p.mu.Unlock()
	if left <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
