// Package admit bounds how much work goes on at once: a few requests run, a few wait in the order they came, all others are
// refused at once. A short queue is what keeps the latency of accepted requests under load near that of an idle service;
// docs/serving.md has the figures.
package admit

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"
)

// ErrFull says that all places are taken. The request may be sent again later.
var ErrFull = errors.New("all places are taken")

// Gate admits requests of one class of work. Its methods may be called from several goroutines at once.
type Gate struct {
	places chan struct{} // a token for each request that is in: running or waiting
	slots  chan struct{} // a token for each that runs
	mu     sync.Mutex
	mean   time.Duration // of the time that a run takes, the latest weighing most
}

// New makes a gate that lets slots requests run and waiting more wait. There is at least one slot.
func New(slots, waiting int) *Gate {
	slots, waiting = max(slots, 1), max(waiting, 0)
	return &Gate{places: make(chan struct{}, slots+waiting), slots: make(chan struct{}, slots)}
}

// Place is what a request holds from Enter until Leave.
type Place struct {
	gate  *Gate
	began time.Time // zero until it runs
}

// Enter takes a place, or returns ErrFull at once. Leave gives it back.
func (g *Gate) Enter() (*Place, error) {
	select {
	case g.places <- struct{}{}:
		return &Place{gate: g}, nil
	default:
		return nil, ErrFull
	}
}

// Start waits until the request may run. Where ctx ends first, its error comes back; the place is then for Leave to give back.
func (p *Place) Start(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case p.gate.slots <- struct{}{}:
		p.began = time.Now()
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Leave gives the place back. It is called once.
func (p *Place) Leave() {
	if !p.began.IsZero() {
		<-p.gate.slots
		p.gate.took(time.Since(p.began))
	}
	<-p.gate.places
}

// took makes a run part of the mean.
func (g *Gate) took(run time.Duration) {
	const weight = 8 // a run counts for an eighth
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mean == 0 {
		g.mean = run
	}
	g.mean += (run - g.mean) / weight
}

// RetryAfter guesses how long it takes until those who are in have left: whole seconds, from 1 to 60.
func (g *Gate) RetryAfter() time.Duration {
	g.mu.Lock()
	mean := g.mean
	g.mu.Unlock()
	rounds := float64(cap(g.places)) / float64(cap(g.slots))
	seconds := math.Ceil(mean.Seconds() * rounds)
	return time.Duration(min(max(seconds, 1), 60)) * time.Second
}

// Full says that Enter would return ErrFull now.
func (g *Gate) Full() bool { return len(g.places) == cap(g.places) }

// Running is how many requests run now.
func (g *Gate) Running() int { return len(g.slots) }

// Waiting is how many requests wait now.
func (g *Gate) Waiting() int { return max(len(g.places)-len(g.slots), 0) }

// Slots is how many requests may run at once.
func (g *Gate) Slots() int { return cap(g.slots) }
