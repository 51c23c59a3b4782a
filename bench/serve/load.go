package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// answer is what became of a request.
type answer struct {
	status int
	later  string        // Retry-After
	took   time.Duration // since it was due
}

// load is what a generator saw.
type load struct {
	answers []answer
	broken  []error // of connections that ended before their answer
	took    time.Duration
	// reopened counts the kept connections that were closed before the next request's answer began.
	reopened int
}

// requestOf is a request as it goes over the wire, built once: the generator shares its cores with the service.
func requestOf(base, path string, body []byte) []byte {
	u, _ := url.Parse(base)
	head := "POST " + path + " HTTP/1.1\r\nHost: " + u.Host + "\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n"
	return append([]byte(head), body...)
}

// caller holds one connection, which it keeps alive.
type caller struct {
	address string
	conn    net.Conn // nil: none is open
	reader  *bufio.Reader
	// reopened is that of load.
	reopened int
}

func newCaller(base string) *caller {
	u, _ := url.Parse(base)
	return &caller{address: u.Host}
}

// send sends a request and reads its answer to the end. After an error the next request opens a new connection. On a kept one
// that was closed before the answer began it is sent once more, as net/http does.
func (c *caller) send(ctx context.Context, request []byte) (a answer, err error) {
	kept := c.conn != nil
	if !kept {
		var dialer net.Dialer
		if c.conn, err = dialer.DialContext(ctx, "tcp", c.address); err != nil {
			c.conn = nil
			return a, err
		}
		c.reader = bufio.NewReader(c.conn)
	}
	_, err = c.conn.Write(request)
	begun := false
	if err == nil {
		if _, err = c.reader.Peek(1); err == nil {
			begun = true
			a, err = c.read()
		}
	}
	if err == nil {
		return a, nil
	}
	c.close()
	if kept && !begun && ctx.Err() == nil {
		c.reopened++
		return c.send(ctx, request)
	}
	return a, err
}

func (c *caller) read() (a answer, err error) {
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return a, err
	}
	_, err = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	if response.Close {
		c.close()
	}
	return answer{status: response.StatusCode, later: response.Header.Get("Retry-After")}, err
}

func (c *caller) close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// refused says that a connection was not accepted: no request was lost with it.
func refused(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// closed sends requests from so many callers, each its next when it has the answer to the last, until there are none.
func closed(ctx context.Context, base string, next func() []byte, callers int) load {
	var group sync.WaitGroup
	loads := make([]load, callers)
	began := time.Now()
	for i := range callers {
		group.Go(func() {
			c := newCaller(base)
			defer c.close()
			for request := next(); request != nil && ctx.Err() == nil; request = next() {
				loads[i].ask(ctx, c, request, time.Now())
			}
		})
	}
	group.Wait()
	return together(loads, time.Since(began))
}

// once hands out each request once.
func once(requests [][]byte) func() []byte {
	var at atomic.Int64
	return func() []byte {
		if i := int(at.Add(1)) - 1; i < len(requests) {
			return requests[i]
		}
		return nil
	}
}

// during hands out requests, over and over, for a time.
func during(requests [][]byte, length time.Duration) func() []byte {
	var at atomic.Int64
	until := time.Now().Add(length)
	return func() []byte {
		if time.Now().After(until) {
			return nil
		}
		return requests[int(at.Add(1)-1)%len(requests)]
	}
}

// ask sends one request that was due at a time.
func (l *load) ask(ctx context.Context, c *caller, request []byte, due time.Time) {
	a, err := c.send(ctx, request)
	l.reopened, c.reopened = l.reopened+c.reopened, 0
	switch {
	case err == nil:
		a.took = time.Since(due)
		l.answers = append(l.answers, a)
	case ctx.Err() == nil:
		l.broken = append(l.broken, err)
	}
}

func together(loads []load, took time.Duration) load {
	all := load{took: took}
	for _, l := range loads {
		all.answers, all.broken = append(all.answers, l.answers...), append(all.broken, l.broken...)
		all.reopened += l.reopened
	}
	return all
}

// open sends requests at random times, so many a second on average (a Poisson process), whether answers come or not. What
// a request took counts from when it was due, so that a generator or a service that falls behind hides nothing. Connections
// are kept, at most most of them; where all are busy a request waits for one, and the wait counts.
func open(ctx context.Context, base string, requests [][]byte, perSecond float64, most int, length time.Duration) load {
	random := rand.New(rand.NewPCG(3, 4))
	due := make(chan time.Time, 1<<16)
	var group sync.WaitGroup
	loads := make([]load, most)
	for i := range most {
		group.Go(func() {
			c := newCaller(base)
			defer c.close()
			n := i * len(requests) / most
			for at := range due {
				loads[i].ask(ctx, c, requests[n%len(requests)], at)
				n++
			}
		})
	}
	began := time.Now()
	for at := began; at.Sub(began) < length && ctx.Err() == nil; at = at.Add(time.Duration(random.ExpFloat64() / perSecond * float64(time.Second))) {
		time.Sleep(time.Until(at))
		due <- at
	}
	close(due)
	group.Wait()
	return together(loads, time.Since(began))
}

// call sends one request by net/http and returns the body of a 200.
func call(ctx context.Context, address string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %.300s", address, response.Status, text)
	}
	return text, err
}
