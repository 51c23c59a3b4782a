// Command mllm4rec takes raw interaction logs to a trained, exported and evaluated recommender. It links no libtorch:
// training runs in mllm4rec-train, which it starts. One file holds one subcommand; system.go holds the process's
// environment, so that tests run the whole command line in-process.
package main

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"
)

func main() {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	executable, err := os.Executable()
	if err != nil {
		executable = os.Args[0]
	}
	os.Exit(execute(&system{
		args: os.Args[1:], environ: os.Environ(), stdout: os.Stdout, stderr: os.Stderr,
		signals: signals, hangups: hangups, exit: os.Exit, executable: executable, terminal: term.IsTerminal(int(os.Stderr.Fd())),
	}))
}

func hangups() <-chan os.Signal {
	c := make(chan os.Signal, 1) // of several that come during a reload one is enough
	signal.Notify(c, syscall.SIGHUP)
	return c
}
