package admit_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"mllm4rec/runtime/serve/admit"
)

func enter(t *testing.T, g *admit.Gate) *admit.Place {
	t.Helper()
	place, err := g.Enter()
	if err != nil {
		t.Fatal(err)
	}
	return place
}

func TestWhoFindsNoPlaceIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	g := admit.New(1, 1)
	first, second := enter(t, g), enter(t, g)
	if _, err := g.Enter(); !errors.Is(err, admit.ErrFull) {
		t.Errorf("the third of two places got %v", err)
	}
	second.Leave()
	enter(t, g).Leave()
	first.Leave()
	if g.Running() != 0 || g.Waiting() != 0 {
		t.Errorf("%d run and %d wait after all have left", g.Running(), g.Waiting())
	}
}

func TestWhoWaitsRunsWhenTheOneBeforeLeaves(t *testing.T) {
	t.Parallel()
	g := admit.New(1, 1)
	first, second := enter(t, g), enter(t, g)
	if err := first.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if g.Running() != 1 || g.Waiting() != 1 {
		t.Errorf("%d run and %d wait, want 1 and 1", g.Running(), g.Waiting())
	}
	started := make(chan error)
	go func() { started <- second.Start(t.Context()) }()
	first.Leave()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	second.Leave()
}

func TestWhoHangsUpFreesThePlace(t *testing.T) {
	t.Parallel()
	g := admit.New(1, 1)
	first, second := enter(t, g), enter(t, g)
	if err := first.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, hangUp := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() { gone <- second.Start(ctx) }()
	hangUp()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	second.Leave()
	enter(t, g).Leave()
	first.Leave()
}

func TestNobodyStartsWhoHasGone(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		place := enter(t, admit.New(1, 0))
		if err := place.Start(ctx); err == nil {
			t.Fatal("started with a context that had ended")
		}
		place.Leave()
	}
}

func TestRetryAfterIsWholeSecondsWithinBounds(t *testing.T) {
	t.Parallel()
	g := admit.New(0, -1)
	if got := g.RetryAfter(); got != time.Second {
		t.Errorf("%v before the first run, want 1s", got)
	}
}
