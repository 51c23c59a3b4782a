package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"mllm4rec/internal/fail"
)

// Exit codes, as --help and the README have them.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// system is everything the program knows of its process.
type system struct {
	// args are the arguments without the program's name, environ is as os.Environ gives it.
	args, environ  []string
	stdout, stderr io.Writer
	// signals delivers Ctrl-C and the like; nil never does.
	signals <-chan os.Signal
	// hangups begins to deliver SIGHUP, which ends the process until then; nil never does.
	hangups func() <-chan os.Signal
	// exit ends the process at once.
	exit func(code int)
	// executable is the path of the running program; the training worker lies beside it.
	executable string
	// terminal says that stderr is a terminal.
	terminal bool
}

// lookup is os.LookupEnv on environ; of two entries the last one counts.
func (s *system) lookup(name string) (string, bool) {
	value, found := "", false
	for _, entry := range s.environ {
		if n, v, _ := strings.Cut(entry, "="); n == name {
			value, found = v, true
		}
	}
	return value, found
}

// execute runs one command line and returns the exit code.
func execute(sys *system) int {
	ctx, stop := untilInterrupted(sys)
	defer stop()
	a := &app{sys: sys}
	root := newRoot(a)
	root.SetArgs(sys.args)
	root.SetOut(sys.stdout)
	root.SetErr(sys.stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	code := exitCode(ctx, err)
	a.reportError(err, code)
	return code
}

func exitCode(ctx context.Context, err error) int {
	switch {
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return exitInterrupted
	case fail.IsUsage(err):
		return exitUsage
	default:
		return exitFailed
	}
}

// untilInterrupted is a context that the first signal cancels; the second ends the process at once.
func untilInterrupted(sys *system) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		select {
		case <-sys.signals:
		case <-done:
			return
		}
		if !wantsJSON(sys.args) && !serves(sys.args) {
			_, _ = fmt.Fprintln(sys.stderr, "\nstopping; what is finished is kept, and the same command goes on from there (again: stop at once)")
		}
		cancel()
		select {
		case <-sys.signals:
			sys.exit(exitInterrupted)
		case <-done:
		}
	}()
	return ctx, func() { close(done); cancel() }
}

// serves says whether the command is serve, which has a log to say that it stops.
func serves(args []string) bool { return slices.Contains(args, "serve") }
