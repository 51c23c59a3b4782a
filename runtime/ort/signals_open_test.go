package ort_test

import (
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"mllm4rec/runtime/ort"
)

// TestSignalsArriveAfterProvidersWereTried opens a model on all providers, as far as they can be had here, runs it, and sends what
// Ctrl-C sends. Where there is a GPU this is the CUDA provider's own test.
func TestSignalsArriveAfterProvidersWereTried(t *testing.T) {
	got := make(chan os.Signal, 1)
	signal.Notify(got, os.Interrupt)
	defer signal.Stop(got)
	s := open(t, func(o *ort.Options) {
		o.Providers, o.Strict, o.Warn = ort.Providers(), false, func(line string) { t.Log(line) }
	})
	if _, _, err := topK(t.Context(), s, []int64{1, 2}, 1, 3); err != nil {
		t.Fatal(err)
	}
	t.Logf("on %s", s.Provider())
	if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case <-got:
	case <-time.After(10 * time.Second):
		t.Error("the interrupt did not arrive")
	}
}
