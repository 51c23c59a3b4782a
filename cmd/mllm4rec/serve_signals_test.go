package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"mllm4rec/configs"
	"mllm4rec/runtime/serve"
	"mllm4rec/runtime/serve/servetest"
)

// fakeServe is the name under which this test's program is serve with a backend without models, whose work never ends.
const fakeServe = "mllm4rec-fake-serve"

func serveFake() {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM)
	sys := &system{args: []string{"serve"}, stdout: os.Stdout, stderr: os.Stderr, signals: signals, hangups: hangups, exit: os.Exit}
	ctx, stop := untilInterrupted(sys)
	defer stop()
	a := &app{sys: sys, json: true, recipe: "ml-100k"}
	newRootFor(a)
	opened := 0
	err := runServe(ctx, a, "127.0.0.1:0", func(context.Context, *configs.Loaded, serve.Observer) (serve.Backend, error) {
		opened++
		return &servetest.Fake{Name: fmt.Sprintf("m%d", opened), Work: func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}}, nil
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitFailed)
	}
	os.Exit(exitOK)
}

// startProcess starts serveFake as a process of its own.
func startProcess(t *testing.T) (url string, process *exec.Cmd) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	process = &exec.Cmd{Path: program, Args: []string{fakeServe}}
	out, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = process.Process.Kill() })
	var opened serve.Opened
	if err := json.NewDecoder(out).Decode(&opened); err != nil {
		t.Fatal(err)
	}
	return opened.URL, process
}

func within10s(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("10 s later still not: %s", what)
		}
	}
}

func exitCodeOf(t *testing.T, process *exec.Cmd) int {
	t.Helper()
	err := process.Wait()
	var exited *exec.ExitError
	if err != nil && !errors.As(err, &exited) {
		t.Fatal(err)
	}
	return process.ProcessState.ExitCode()
}

func tell(t *testing.T, process *exec.Cmd, s os.Signal) {
	t.Helper()
	if err := process.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

func TestHangupReloadsAndTerminateEndsWithZero(t *testing.T) {
	t.Parallel()
	url, process := startProcess(t)
	tell(t, process, syscall.SIGHUP)
	within10s(t, "the second models answer", func() bool {
		_, text := get(t, url+"/v1/info", "")
		return strings.Contains(text, `"fingerprint":"m2"`)
	})
	tell(t, process, syscall.SIGTERM)
	if code := exitCodeOf(t, process); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

func TestASecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	url, process := startProcess(t)
	go func() {
		if response, err := http.Post(url+"/v1/retrieve", "application/json", strings.NewReader(`{"history": []}`)); err == nil {
			response.Body.Close()
		}
	}()
	within10s(t, "a request runs", func() bool {
		_, text := get(t, url+"/metrics", "")
		return strings.Contains(text, `mllm4rec_running{class="retrieve"} 1`)
	})
	tell(t, process, syscall.SIGTERM)
	within10s(t, "it is not ready", func() bool {
		status, _ := get(t, url+"/readyz", "")
		return status == http.StatusServiceUnavailable
	})
	tell(t, process, syscall.SIGTERM)
	if code := exitCodeOf(t, process); code != exitInterrupted {
		t.Errorf("exit code %d", code)
	}
}
