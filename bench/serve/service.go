package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// service is a process that answers requests. It prints a JSON object with its url when it is ready.
type service struct {
	URL   string
	cmd   *exec.Cmd
	log   *os.File
	ready time.Duration // from the start of the process
	ended chan error
}

// start starts a service and waits until it is ready. What it logs goes to a file, as a service's log does.
func start(ctx context.Context, dir string, program string, args ...string) (s *service, err error) {
	s = &service{cmd: exec.CommandContext(ctx, program, args...), ended: make(chan error, 1)}
	if s.log, err = os.Create(filepath.Join(dir, filepath.Base(program)+".log")); err != nil {
		return nil, err
	}
	s.cmd.Stderr = s.log
	s.cmd.Env = append(os.Environ(), "OMP_WAIT_POLICY=passive", "HF_HUB_OFFLINE=1", "TOKENIZERS_PARALLELISM=false", "TRANSFORMERS_VERBOSITY=error", "TQDM_DISABLE=1", "PYTHONWARNINGS=ignore")
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	err = json.NewDecoder(out).Decode(s)
	s.ready = time.Since(began)
	go func() {
		_, _ = io.Copy(io.Discard, out)
		s.ended <- s.cmd.Wait()
	}()
	if err != nil {
		told, _ := os.ReadFile(s.log.Name())
		return nil, errors.Join(fmt.Errorf("%s is not ready: %w\n%s", program, err, tail(string(told))), s.stop())
	}
	return s, nil
}

func tail(text string) string { return text[max(0, len(text)-2000):] }

// stop asks the process to end, and waits for it.
func (s *service) stop() error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // fails where it has ended
	err := <-s.ended
	if state := s.cmd.ProcessState; state != nil && state.Sys().(syscall.WaitStatus).Signal() == syscall.SIGTERM {
		err = nil // as asked for
	}
	return errors.Join(err, s.log.Close())
}

// residentBytes is the memory that the process has now, and had at most.
func (s *service) residentBytes() (now, peak int64) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		kilobytes, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
		switch name {
		case "VmRSS":
			now = kilobytes << 10
		case "VmHWM":
			peak = kilobytes << 10
		}
	}
	return now, peak
}

// cpu is the time on cores that the process has had.
func (s *service) cpu() time.Duration {
	const tick = 10 * time.Millisecond // USER_HZ is 100 on Linux
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	_, rest, _ := strings.Cut(string(text), ") ") // the name may hold spaces
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * tick
}
