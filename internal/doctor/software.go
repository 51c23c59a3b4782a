package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"mllm4rec/internal/glob"
)

// patience is how long a program that is asked something may take.
const patience = 10 * time.Second

func library(find func() (path, version string, err error)) Finding {
	path, version, err := find()
	if err != nil {
		return Finding{"ONNX Runtime", Missing, err.Error(), "candidates and evaluation; `make deps` fetches it"}
	}
	return Finding{"ONNX Runtime", OK, version + ", " + path, ""}
}

// providers are the files beside the library: one for each provider that it was built with, save the CPU's.
func providers(find func() (path, version string, err error), gpu bool) Finding {
	path, _, err := find()
	if err != nil {
		return Finding{"providers", Missing, "none without ONNX Runtime", "candidates and evaluation"}
	}
	names := []string{"cpu"}
	const prefix, suffix = "libonnxruntime_providers_", ".so"
	plugins, err := glob.In(filepath.Dir(path), prefix+"*"+suffix)
	if err != nil {
		return Finding{"providers", Warn, err.Error(), "providers other than cpu"}
	}
	for _, file := range plugins {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), prefix), suffix)
		if name != "shared" { // what the others have in common
			names = append(names, name)
		}
	}
	f := Finding{"providers", OK, strings.Join(names, ", "), ""}
	if gpu && len(names) == 1 {
		f.State, f.Disables = Warn, "inference on this machine's GPU; `make deps CUDA=1` fetches the CUDA variants"
	}
	return f
}

// usageCode is what mllm4rec-train exits with when it is called without arguments: its libraries were all found.
const usageCode = 2

// worker starts the training worker without arguments, which loads libtorch and ends.
func (m machine) worker(ctx context.Context, path string) Finding {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, path)
	cmd.Stderr = &stderr
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == usageCode {
		return Finding{"training worker", OK, path + ", libtorch loads", ""}
	}
	f := Finding{"training worker", Missing, path, "training; `make build` makes it"}
	switch {
	case exit == nil && err != nil:
		f.Detail = err.Error()
	case stderr.Len() > 0:
		f.Detail = firstLine(stderr.String())
	case err != nil:
		f.Detail = fmt.Sprintf("%s: %v", path, err)
	default:
		f.Detail = path + " is another program"
	}
	return f
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}
