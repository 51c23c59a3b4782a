package main

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"

	"mllm4rec/bench/beside"
)

//go:embed reference.py
var script string

// reference is the Python process: one command a line in, one line of JSON out.
type reference struct {
	in  io.WriteCloser
	out *bufio.Reader
	end func() error
}

func startReference(ctx context.Context, python string, in input, d beside.Set, threads int) (*reference, error) {
	cmd := exec.CommandContext(ctx, python, "-c", script, in.weights, in.histories, strconv.Itoa(d.Length), strconv.Itoa(d.Batch), strconv.Itoa(threads))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w: set MLLM4REC_PYTHON to a Python with torch and numpy", python, err)
	}
	r := &reference{in: stdin, out: bufio.NewReader(stdout), end: cmd.Wait}
	var hello struct{ Torch string }
	if err := r.answer(&hello); err != nil {
		return nil, fmt.Errorf("%s with torch and numpy (MLLM4REC_PYTHON): %w", python, err)
	}
	return r, nil
}

// ask sends a command and reads its answer.
func (r *reference) ask(answer any, command string, arguments ...int) error {
	for _, a := range arguments {
		command += " " + strconv.Itoa(a)
	}
	if _, err := fmt.Fprintln(r.in, command); err != nil {
		return err
	}
	return r.answer(answer)
}

func (r *reference) answer(to any) error {
	line, err := r.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("the reference ended: %w", err)
	}
	return json.Unmarshal(line, to)
}

func (r *reference) close() error {
	if err := r.in.Close(); err != nil {
		return err
	}
	return r.end()
}
