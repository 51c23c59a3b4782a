package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// overload sends twice what the service can answer, the retriever's requests and then the language model's.
func overload(ctx context.Context, o options, q questions, dir string) (err error) {
	fmt.Println(machine())
	s, err := ours(ctx, o, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if err := s.overload(ctx, "retrieve", q.retrieves(s.URL), o.callers, o, o.length); err != nil || o.prompts == 0 {
		return err
	}
	var ranks [][]byte
	for _, body := range q.rankBodies() {
		ranks = append(ranks, requestOf(s.URL, "/v1/rank", body))
	}
	const few, slow = 3, 10 // callers, which are not refused; times that a round takes longer
	return s.overload(ctx, "rank", ranks, few, o, slow*o.length)
}

// overload finds the capacity, how long requests take at a tenth and at half of it, and what becomes of them at twice as many.
// Of the rounds at the lower rates it shows the one with the least p99: on a machine that does other work too, that is the
// one which was disturbed least.
func (s *service) overload(ctx context.Context, name string, requests [][]byte, callers int, o options, length time.Duration) error {
	var capacity float64
	for range o.rounds {
		full := closed(ctx, s.URL, during(requests, length), callers)
		if err := full.check(); err != nil {
			return err
		}
		capacity = max(capacity, full.perSecond())
	}
	fmt.Printf("%s: %d callers get %.1f answers/s\n", name, callers, capacity)
	for _, part := range []struct {
		share  float64
		rounds int
		length time.Duration
	}{{0.1, o.rounds, length}, {0.5, o.rounds, length}, {2, 1, o.overload}} {
		before, _ := s.residentBytes()
		used := s.cpu()
		var best load
		for round := range part.rounds {
			l := open(ctx, s.URL, requests, part.share*capacity, connections, part.length)
			if err := l.check(); err != nil {
				return err
			}
			if round == 0 || l.p99() < best.p99() {
				best = l
			}
		}
		after, peak := s.residentBytes()
		cores := (s.cpu() - used).Seconds() / part.length.Seconds() / float64(part.rounds)
		fmt.Printf("  %3.1f× for %s: %s; %.2f cores, resident %d MB before, %d after, %d at most\n", part.share, part.length, best.summary(), cores, before>>20, after>>20, peak>>20)
	}
	return nil
}

// p99 is that of good answers.
func (l load) p99() time.Duration { return quantile(l.times(http.StatusOK), 0.99) }

// summary says what became of the requests.
func (l load) summary() string {
	good, later := l.times(http.StatusOK), l.times(http.StatusTooManyRequests)
	text := fmt.Sprintf("%d sent, %d answered (p50 %.2f, p99 %.2f ms), %d refused with 429", len(l.answers), len(good), milliseconds(quantile(good, 0.5)), milliseconds(quantile(good, 0.99)), len(later))
	if len(later) > 0 {
		text += fmt.Sprintf(" (p50 %.2f, p99 %.2f ms)", milliseconds(quantile(later, 0.5)), milliseconds(quantile(later, 0.99)))
	}
	silent := len(later) - l.told(http.StatusTooManyRequests)
	return text + fmt.Sprintf(", %d without Retry-After, %d otherwise", silent, len(l.answers)-len(good)-len(later))
}
