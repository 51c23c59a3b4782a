package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// check says why connections broke, if any did.
func (l load) check() error {
	if len(l.broken) > 0 {
		return fmt.Errorf("%d of %d requests were not answered: %w", len(l.broken), len(l.broken)+len(l.answers), l.broken[0])
	}
	if len(l.answers) == 0 {
		return errors.New("nothing was answered")
	}
	return nil
}

// count is how many answers have a status.
func (l load) count(status int) (n int) {
	for _, a := range l.answers {
		if a.status == status {
			n++
		}
	}
	return n
}

// perSecond is how many requests a second were answered well.
func (l load) perSecond() float64 { return float64(l.count(200)) / l.took.Seconds() }

// times are those of the answers with a status.
func (l load) times(status int) (all []time.Duration) {
	for _, a := range l.answers {
		if a.status == status {
			all = append(all, a.took)
		}
	}
	return all
}

func median(values []float64) float64 { return quantile(values, 0.5) }

// quantile is 0 of nothing.
func quantile[T cmp.Ordered](values []T, q float64) (of T) {
	if len(values) == 0 {
		return of
	}
	return slices.Sorted(slices.Values(values))[int(q*float64(len(values)-1))]
}

func milliseconds(d time.Duration) float64 { return float64(d) / 1e6 }
