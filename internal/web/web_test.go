package web

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestGetsInSpiteOf(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string][]http.HandlerFunc{
		"nothing":                nil,
		"down for a moment":      {status(500), status(503)},
		"busy":                   {status(429, "Retry-After", "7")},
		"cut off":                {cut(100)},
		"a wrong Content-Length": {cut(len(body) + 1)},
		"redirects":              times(5, redirect("/elsewhere")),
		"Retry-After of no kind": {status(429, "Retry-After", "soon")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, faults...)
			got, err := local(nil).Get(t.Context(), s.URL+"/1.jpg", nil)
			if err != nil || string(got) != body {
				t.Errorf("got %q, %v", got, err)
			}
			if s.asked != len(faults)+1 {
				t.Errorf("asked %d times, want %d", s.asked, len(faults)+1)
			}
		})
	}
}

func TestSaysWhyThereIsNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		faults []http.HandlerFunc
		reason string
		asked  int
		down   bool
	}{
		"not there":                 {times(9, status(404)), NotFound, 1, false},
		"gone":                      {times(9, status(410)), NotFound, 1, false},
		"forbidden":                 {times(9, status(403)), "answered 403 Forbidden", 1, false},
		"down":                      {times(9, status(500)), "answered 500 Internal Server Error", tries, true},
		"busy":                      {times(9, status(429)), "answered 429 Too Many Requests", tries, true},
		"busy for a day":            {times(9, status(429, "Retry-After", "86400")), ComeBackLater, 1, true},
		"busy for ever":             {times(9, status(503, "Retry-After", "9223372036854775807")), ComeBackLater, 1, true},
		"cut off again and again":   {times(9, cut(100)), CutOff, tries, false},
		"too large, announced":      {times(9, cut(1001)), TooLarge, 1, false},
		"too large, not announced":  {times(9, endless), TooLarge, 1, false},
		"redirects without an end":  {times(20, redirect("/again")), TooManyRedirects, maxRedirects, false},
		"redirected to a file":      {times(9, redirect("file:///etc/passwd")), NoAddress, 1, false},
		"nothing, and no content":   {times(9, status(204)), "answered 204 No Content", 1, false},
		"a status that nobody made": {times(9, status(999)), "answered 999 ", tries, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, c.faults...)
			got, err := local(nil).Get(t.Context(), s.URL+"/1.jpg?api_key=secret", nil)
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Reason != c.reason || e.HostDown != c.down || got != nil {
				t.Fatalf("got %q and %#v, want %s", got, err, c.reason)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("%v tells the address", err)
			}
			if s.asked != c.asked {
				t.Errorf("asked %d times, want %d", s.asked, c.asked)
			}
		})
	}
}

func TestSilenceEndsInTime(t *testing.T) {
	t.Parallel()
	s := newServer(t, times(9, silent)...)
	c := New(Options{PerHost: 1, Timeout: 50 * time.Millisecond, MaxBytes: 1000, AllowPrivate: true, Shorten: func(time.Duration) time.Duration { return 0 }})
	_, err := c.Get(t.Context(), s.URL, nil)
	if e, ok := errors.AsType[*Error](err); !ok || e.Reason != TimedOut || !e.HostDown {
		t.Errorf("got %#v", err)
	}
}

func TestHostsThatDoNotAnswerAreDown(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.Close()
	_, err := local(nil).Get(t.Context(), s.URL, nil)
	if e, ok := errors.AsType[*Error](err); !ok || e.Reason != NotConnected || !e.HostDown {
		t.Errorf("got %v", err)
	}
	unknown := &url.Error{Op: "Get", URL: "http://h/?api_key=secret", Err: &net.OpError{Op: "dial", Err: &net.DNSError{Name: "h", IsNotFound: true}}}
	if e, ok := errors.AsType[*Error](explain(nil, unknown)); !ok || e.Error() != "no such host: h" || !e.HostDown {
		t.Errorf("got %v", e)
	}
	if again, _ := checkRetry(t.Context(), nil, unknown); again {
		t.Error("a name that does not exist is asked for again")
	}
}

func TestOtherSchemesAreNotAsked(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"", "1.jpg", "//host/1.jpg", "file:///etc/passwd", "ftp://host/1.jpg", "http://", "http://a b/", "data:image/png;base64,AAAA", "http://h/\x7f", "http://[::1"} {
		_, err := local(nil).Get(t.Context(), address, nil)
		if e, ok := errors.AsType[*Error](err); !ok || e.Reason != NoAddress {
			t.Errorf("%q: got %v", address, err)
		}
	}
}

func TestAddressesThatAreNotPublicAreRefused(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	port := s.URL[strings.LastIndex(s.URL, ":"):]
	c := New(Options{PerHost: 1, Timeout: 10 * time.Second, MaxBytes: 1000})
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "10.0.0.1", "169.254.169.254"} {
		_, err := c.Get(t.Context(), "http://"+host+port+"/1.jpg", nil)
		if e, ok := errors.AsType[*Error](err); !ok || e.Reason != NotPublic {
			t.Errorf("%s: got %v", host, err)
		}
	}
	if s.asked != 0 {
		t.Errorf("asked %d times", s.asked)
	}
}

func TestRedirectsToPrivateAddressesAreRefused(t *testing.T) {
	t.Parallel()
	private := newServer(t)
	public := newServer(t, redirect(private.URL))
	c := New(Options{PerHost: 1, Timeout: 10 * time.Second, MaxBytes: 1000})
	c.retry.HTTPClient.Transport = &reach{public.Listener.Addr().String(), local(nil).retry.HTTPClient.Transport, c.retry.HTTPClient.Transport}
	_, err := c.Get(t.Context(), public.URL, nil)
	if e, ok := errors.AsType[*Error](err); !ok || e.Reason != NotPublic || public.asked != 1 || private.asked != 0 {
		t.Errorf("got %v after asking %d times and then %d times", err, public.asked, private.asked)
	}
}

// reach lets through to one host as if it were public.
type reach struct {
	host         string
	there, other http.RoundTripper
}

func (r *reach) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.URL.Host == r.host {
		return r.there.RoundTrip(request)
	}
	return r.other.RoundTrip(request)
}

func TestPublic(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"8.8.8.8": true, "2606:4700::1111": true, "::ffff:8.8.8.8": true, "172.15.0.1": true, "100.63.0.1": true,
		"127.0.0.1": false, "127.9.9.9": false, "10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false, "169.254.169.254": false,
		"100.64.0.1": false, "0.0.0.0": false, "0.1.2.3": false, "255.255.255.255": false, "224.0.0.1": false, "239.1.1.1": false, "240.0.0.1": false,
		"198.18.0.1": false, "192.0.2.1": false, "::": false, "::1": false, "fe80::1": false, "fe80::1%eth0": false, "fc00::1": false, "fd12::1": false,
		"ff02::1": false, "::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::127.0.0.1": false, "64:ff9b::7f00:1": false, "64:ff9b:1::a00:1": false, "::ffff:0:7f00:1": false, "2002:7f00:1::": false, "2001:db8::1": false,
	} {
		if got := public(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestRedirectsCanBeForbidden(t *testing.T) {
	t.Parallel()
	s := newServer(t, redirect("/elsewhere"))
	c := New(Options{PerHost: 1, Timeout: 10 * time.Second, MaxBytes: 1000, AllowPrivate: true, NoRedirects: true})
	_, err := c.Get(t.Context(), s.URL, nil)
	if e, ok := errors.AsType[*Error](err); !ok || e.Reason != Redirected || s.asked != 1 {
		t.Errorf("got %v", err)
	}
}

func TestPausesGrowAndHeedRetryAfter(t *testing.T) {
	t.Parallel()
	var heard []time.Duration
	s := newServer(t, status(500), status(500), status(429, "Retry-After", "20"))
	if _, err := local(&heard).Get(t.Context(), s.URL, nil); err != nil {
		t.Fatal(err)
	}
	want := []time.Duration{time.Second, 2 * time.Second, 20 * time.Second}
	if len(heard) != len(want) {
		t.Fatalf("%d pauses: %v", len(heard), heard)
	}
	for i, least := range want {
		if heard[i] < least || heard[i] > least*3/2+1 {
			t.Errorf("pause %d is %s, want %s and at most half as much again", i, heard[i], least)
		}
	}
}

func TestHostThatAsksForItIsLeftAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p pauses
		p.add("busy", 10*time.Second)
		p.add("busy", time.Second) // the longer one counts
		begin := time.Now()
		if err := p.wait(t.Context(), "other"); err != nil || time.Since(begin) != 0 {
			t.Errorf("another host waits %s, %v", time.Since(begin), err)
		}
		if err := p.wait(t.Context(), "busy"); err != nil || time.Since(begin) != 10*time.Second {
			t.Errorf("waited %s, %v", time.Since(begin), err)
		}
		p.add("busy", time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := p.wait(ctx, "busy"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

func TestHostThatRedirectsToABusyOneIsLeftAlone(t *testing.T) {
	t.Parallel()
	busy := newServer(t, status(429, "Retry-After", "20"))
	front := newServer(t, redirect(busy.URL), redirect(busy.URL))
	c := local(nil)
	c.options.Shorten = func(time.Duration) time.Duration { return time.Millisecond }
	if _, err := c.Get(t.Context(), front.URL, nil); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*server{busy, front} {
		if host := Host(s.URL); c.pauses.until[host].IsZero() {
			t.Errorf("%s is asked at once", host)
		}
	}
}

func TestCancelledGetEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) { cancel(); silent(w, r) })
	if _, err := local(nil).Get(ctx, s.URL, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestHeadersAreSent(t *testing.T) {
	t.Parallel()
	var got http.Header
	s := newServer(t, func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Clone() })
	if _, err := local(nil).Get(t.Context(), s.URL, http.Header{"Accept": {"image/png"}}); err != nil {
		t.Fatal(err)
	}
	if got.Get("Accept") != "image/png" || got.Get("User-Agent") != "mllm4rec" || got.Get("Accept-Encoding") != "identity" {
		t.Errorf("sent %v", got)
	}
}
