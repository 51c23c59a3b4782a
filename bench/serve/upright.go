package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"
)

// restarts stops the service and starts it again on the same port, and reloads its models, so many times each, while callers
// ask the retriever without pause. Lost are requests that were not answered although the port was open: a connection that
// is refused is none, nor is a kept one that was closed between two requests, which every client opens anew.
func restarts(ctx context.Context, o options, q questions, dir string) error {
	address, err := freeAddress()
	if err != nil {
		return err
	}
	s, err := ours(ctx, o, dir, "--addr", address)
	if err != nil {
		return err
	}
	sending, stop := context.WithCancel(ctx)
	answered := make(chan load, 1)
	go func() {
		requests := q.retrieves(s.URL)
		answered <- closed(sending, s.URL, during(requests, time.Hour), 4)
	}()
	change := func() error {
		for range o.restarts {
			if err := s.stop(); err != nil {
				return fmt.Errorf("a service that was told to stop: %w", err)
			}
			if s, err = ours(ctx, o, dir, "--addr", address); err != nil {
				return err
			}
			if _, err := call(ctx, s.URL+"/-/reload", nil); err != nil {
				return err
			}
		}
		return nil
	}
	err = change()
	stop()
	l := <-answered
	if s != nil {
		err = errors.Join(err, s.stop())
	}
	if err != nil {
		return err
	}
	return l.survived(o.restarts)
}

func (l load) survived(times int) error {
	all := len(l.broken)
	lost := slices.DeleteFunc(l.broken, refused)
	fmt.Printf("%d restarts and %d reloads: %d requests were answered, %d were told that the models are not open yet (503 with Retry-After); connections were refused %d times and closed between requests %d times\n",
		times, times, l.count(http.StatusOK), l.told(http.StatusServiceUnavailable), all-len(lost), l.reopened)
	if others := len(l.answers) - l.count(http.StatusOK) - l.told(http.StatusServiceUnavailable); others > 0 {
		return fmt.Errorf("%d requests were answered otherwise", others)
	}
	if len(lost) > 0 {
		return fmt.Errorf("%d requests were lost: %w", len(lost), lost[0])
	}
	return nil
}

// told counts the answers of a status that say when to come again.
func (l load) told(status int) (n int) {
	for _, a := range l.answers {
		if a.status == status && a.later != "" {
			n++
		}
	}
	return n
}

func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}
