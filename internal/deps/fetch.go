package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// platforms are the wheel tags that a Linux with glibc 2.28 (2018) or newer can load.
var platforms = []string{"manylinux1_x86_64", "manylinux2010_x86_64", "manylinux2014_x86_64", "manylinux_2_27_x86_64", "manylinux_2_28_x86_64"}

// fetch makes sure that wheels/ holds the wheel and that it hashes to what it must. A wheel that lies there already, from
// an interrupted call or put there by hand on a machine without a network, is used; a damaged one is fetched again.
func (s store) fetch(ctx context.Context, w wheel) error {
	file := s.path("wheels", w.File)
	err := verify(file, w.SHA256)
	if err == nil {
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		s.say("  %v; fetching it again", err)
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	if err := s.pipDownload(ctx, w); err != nil {
		return err
	}
	return verify(file, w.SHA256)
}

// pipDownload asks pip for the wheel. Whichever index, proxy, mirror or folder of wheels pip is configured for is used.
func (s store) pipDownload(ctx context.Context, w wheel) error {
	landing := s.path("tmp", "landing")
	if err := os.RemoveAll(s.path("tmp")); err != nil {
		return err
	}
	if err := os.MkdirAll(landing, 0o755); err != nil {
		return err
	}
	args := []string{"-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--python-version", "3.11", "--dest", landing}
	for _, platform := range platforms {
		args = append(args, "--platform", platform)
	}
	cmd := exec.CommandContext(ctx, s.python, append(args, w.Requirement)...)
	cmd.Stdout, cmd.Stderr = s.out, s.out
	// pip unpacks below TMPDIR, and /tmp may be small.
	cmd.Env = append(os.Environ(), "TMPDIR="+s.path("tmp"), "PIP_DISABLE_PIP_VERSION_CHECK=1", "PIP_NO_INPUT=1", "PIP_REQUIRE_VIRTUALENV=0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // a pip that outlives us would write where the next one does
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s -m pip download %s: %w (see pip's own message above; no network? put %s into %s)",
			s.python, w.Requirement, errors.Join(ctx.Err(), err), w.File, s.path("wheels"))
	}
	if err := os.MkdirAll(s.path("wheels"), 0o755); err != nil {
		return err
	}
	return os.Rename(filepath.Join(landing, w.File), s.path("wheels", w.File))
}

// verify reports whether file has the SHA-256 it must have.
func verify(file, want string) (err error) {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != want {
		return fmt.Errorf("%s has SHA-256 %s, not %s", filepath.Base(file), got, want)
	}
	return nil
}
