package ort

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	onnx "github.com/yalue/onnxruntime_go"

	"mllm4rec/internal/fail"
	"mllm4rec/runtime/ort/modelfile"
)

// Providers returns the names that Options.Providers knows, fastest first.
func Providers() []string { return []string{"tensorrt", "cuda", "cpu"} }

// providerError is why one provider could not be had.
type providerError struct {
	provider string
	err      error
}

func (e *providerError) Error() string { return fmt.Sprintf("provider %s: %v", e.provider, e.err) }
func (e *providerError) Unwrap() error { return e.err }

func checkProviders(names []string) ([]string, error) {
	if len(names) == 0 {
		return []string{"cpu"}, nil
	}
	for _, name := range names {
		if !slices.Contains(Providers(), name) {
			return nil, fail.Usagef("providers: %q is none of %s", name, strings.Join(Providers(), ", "))
		}
	}
	return names, nil
}

// openOn opens the model on the providers, dropping those that cannot be had, and returns the first of the rest. ONNX
// Runtime hands each node to the first provider that takes it, so a session holds all that remain, down to the CPU. A
// provider can fail when it is added (its library is missing) or when the session is made (no device, no memory).
func openOn(providers []string, o Options, model string, info *modelfile.Info) (*onnx.DynamicAdvancedSession, string, error) {
	defer keepSignals()()
	for rest := slices.Clone(providers); ; {
		session, err := newSession(rest, o, info)
		if err == nil {
			return session, rest[0], nil
		}
		if rest[0] == "tensorrt" && o.Ranges != nil && strings.Contains(err.Error(), "profile") {
			o.Ranges = nil // it takes them only where it takes the whole graph
			continue
		}
		lost := accused(rest, err)
		if lost == "" || o.Strict {
			err = fmt.Errorf("%s: ONNX Runtime cannot open it on %s: %w", model, strings.Join(rest, ", "), err)
			if lost != "" {
				err = fmt.Errorf("%w; take %s out of runtime.providers, or set runtime.strict to false", err, lost)
			}
			return nil, "", err
		}
		rest = slices.DeleteFunc(rest, func(p string) bool { return p == lost })
		if len(rest) == 0 {
			return nil, "", fmt.Errorf("%s: none of the providers %s can be had: %w; add cpu to runtime.providers", model, strings.Join(providers, ", "), err)
		}
		warnFallBack(o, lost, rest[0], err)
	}
}

// accused is the provider to do without after err: the one it names, else the first that is not the CPU, else none.
func accused(providers []string, err error) string {
	var named *providerError
	if errors.As(err, &named) {
		return named.provider
	}
	for _, p := range providers {
		if p != "cpu" {
			return p
		}
	}
	return ""
}

var warned sync.Map // what was told once a process, since every stage opens its own session

func warnOnce(o Options, key, line string) {
	if _, again := warned.LoadOrStore(key, true); again {
		return
	}
	if o.Warn == nil {
		_, _ = fmt.Fprintln(os.Stderr, "warning: "+line)
		return
	}
	o.Warn(line)
}

func warnUnused(o Options, providers []string) {
	for _, line := range o.Device.unused(providers) {
		warnOnce(o, line, line)
	}
}

// warnFallBack tells of a lost provider.
func warnFallBack(o Options, lost, next string, err error) {
	var named *providerError
	if errors.As(err, &named) {
		err = named.err
	}
	warnOnce(o, lost, fmt.Sprintf("provider %s cannot be used, going on with %s: %s", lost, next, oneLine(err)))
}

func oneLine(err error) string {
	return strings.Join(strings.Fields(fmt.Sprint(err)), " ")
}

func appendProviders(options *onnx.SessionOptions, names []string, d Device, ranges []Range) error {
	for _, name := range names {
		if err := appendProvider(options, name, d, ranges); err != nil {
			return &providerError{name, err}
		}
	}
	return nil
}

// appendProvider adds one provider to the options. The CPU needs no adding: it takes every node that is left.
func appendProvider(options *onnx.SessionOptions, name string, d Device, ranges []Range) error {
	switch name {
	case "tensorrt":
		settings, err := d.tensorRT(ranges)
		if err != nil {
			return err
		}
		return appendTensorRT(options, settings)
	case "cuda":
		return appendCUDA(options, d.cuda())
	}
	return nil
}

func appendCUDA(options *onnx.SessionOptions, settings map[string]string) (err error) {
	cuda, err := onnx.NewCUDAProviderOptions()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cuda.Destroy()) }()
	if err := cuda.Update(settings); err != nil {
		return err
	}
	return options.AppendExecutionProviderCUDA(cuda)
}

func appendTensorRT(options *onnx.SessionOptions, settings map[string]string) (err error) {
	tensorRT, err := onnx.NewTensorRTProviderOptions()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tensorRT.Destroy()) }()
	if err := tensorRT.Update(settings); err != nil {
		return err
	}
	return options.AppendExecutionProviderTensorRT(tensorRT)
}
