package ort

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
		lost := accused(rest, err)
		if lost == "" || o.Strict {
			return nil, "", fmt.Errorf("%s: ONNX Runtime cannot open it on %s: %w", model, strings.Join(rest, ", "), err)
		}
		rest = slices.DeleteFunc(rest, func(p string) bool { return p == lost })
		if len(rest) == 0 {
			return nil, "", fmt.Errorf("%s: none of the providers %s can be had: %w", model, strings.Join(providers, ", "), err)
		}
		warnFallBack(o.Warn, lost, rest[0], err)
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

var warned sync.Map // provider name → true

// warnFallBack tells of a lost provider once a process: every stage opens its own session.
func warnFallBack(warn func(string), lost, next string, err error) {
	if _, again := warned.LoadOrStore(lost, true); again {
		return
	}
	var named *providerError
	if errors.As(err, &named) {
		err = named.err
	}
	line := fmt.Sprintf("provider %s cannot be used, going on with %s: %s", lost, next, oneLine(err))
	if warn == nil {
		_, _ = fmt.Fprintln(os.Stderr, "warning: "+line)
		return
	}
	warn(line)
}

func oneLine(err error) string {
	return strings.Join(strings.Fields(fmt.Sprint(err)), " ")
}

func appendProviders(options *onnx.SessionOptions, names []string) error {
	for _, name := range names {
		if err := appendProvider(options, name); err != nil {
			return &providerError{name, err}
		}
	}
	return nil
}

// appendProvider adds one provider to the options. The CPU needs no adding: it takes every node that is left.
func appendProvider(options *onnx.SessionOptions, name string) error {
	switch name {
	case "tensorrt":
		return appendTensorRT(options)
	case "cuda":
		return appendCUDA(options)
	}
	return nil
}

// appendCUDA lets the arena grow by what is asked for: doubling it, the default, fails on cards that others use too.
func appendCUDA(options *onnx.SessionOptions) (err error) {
	cuda, err := onnx.NewCUDAProviderOptions()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cuda.Destroy()) }()
	if err := cuda.Update(map[string]string{"device_id": "0", "arena_extend_strategy": "kSameAsRequested"}); err != nil {
		return err
	}
	return options.AppendExecutionProviderCUDA(cuda)
}

// appendTensorRT keeps the engines that TensorRT builds, which takes minutes, in the user's cache folder.
func appendTensorRT(options *onnx.SessionOptions) (err error) {
	tensorRT, err := onnx.NewTensorRTProviderOptions()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tensorRT.Destroy()) }()
	settings := map[string]string{"device_id": "0"}
	if dir := engineCache(); dir != "" {
		settings["trt_engine_cache_enable"], settings["trt_engine_cache_path"] = "1", dir
		settings["trt_timing_cache_enable"], settings["trt_timing_cache_path"] = "1", dir
	}
	if err := tensorRT.Update(settings); err != nil {
		return err
	}
	return options.AppendExecutionProviderTensorRT(tensorRT)
}

// engineCache makes the folder, since TensorRT's provider makes no parents, or returns "" where there can be none.
func engineCache() string {
	cache, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	dir := filepath.Join(cache, "mllm4rec", "tensorrt")
	if os.MkdirAll(dir, 0o755) != nil {
		return ""
	}
	return dir
}
