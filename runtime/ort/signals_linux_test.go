package ort

import (
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"
)

// TestSignalHandlersSurviveALibrary does what ONNX Runtime's CUDA provider does, set another action behind Go's back, and
// sends the signal after it.
func TestSignalHandlersSurviveALibrary(t *testing.T) {
	got := make(chan os.Signal, 1)
	signal.Notify(got, syscall.SIGUSR1)
	defer signal.Stop(got)
	restore := keepSignals()
	const ignore = 1 // SIG_IGN is the handler, the first word of struct sigaction
	sigaction(int(syscall.SIGUSR1), &action{ignore}, nil)
	restore()
	if err := syscall.Kill(os.Getpid(), syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	select {
	case <-got:
	case <-time.After(10 * time.Second):
		t.Error("the signal did not arrive: Go's handler was not put back")
	}
}
