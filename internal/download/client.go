package download

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// maxRedirects is net/http's own limit.
const maxRedirects = 10

// client repeats a request until there is an answer that is neither 429 nor 5xx. What happens to the body is transfer's.
func (f fetcher) client() *retryablehttp.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = f.stall
	client := retryablehttp.NewClient()
	client.Logger = nil
	client.HTTPClient = &http.Client{Transport: transport, CheckRedirect: checkRedirect}
	client.RetryMax = f.tries - 1
	client.RetryWaitMin, client.RetryWaitMax = f.pause, f.longest
	client.Backoff = func(first, longest time.Duration, attempt int, response *http.Response) time.Duration {
		wait := retryablehttp.DefaultBackoff(first, longest, attempt, response)
		if wait < 0 { // Retry-After has more seconds than a Duration holds
			return longest
		}
		return min(wait, longest)
	}
	client.CheckRetry = func(ctx context.Context, response *http.Response, err error) (bool, error) {
		if errors.As(err, new(permanent)) {
			return false, err
		}
		return retryablehttp.DefaultRetryPolicy(ctx, response, err)
	}
	client.ErrorHandler = retryablehttp.PassthroughErrorHandler
	return client
}

// checkRedirect follows redirects, but from https to https only: a hash is not always known.
func checkRedirect(next *http.Request, via []*http.Request) error {
	if len(via) >= maxRedirects {
		return permanent{fmt.Errorf("more than %d redirects", maxRedirects)}
	}
	if via[0].URL.Scheme == "https" && next.URL.Scheme != "https" {
		return permanent{fmt.Errorf("redirected from https to %s, which is not followed", next.URL.Redacted())}
	}
	return nil
}

// backoff is the pause before try n+1.
func (f fetcher) backoff(n int) time.Duration {
	return retryablehttp.DefaultBackoff(f.pause, f.longest, n, nil)
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
