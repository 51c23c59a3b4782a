// Package ort runs ONNX files on ONNX Runtime: it finds the shared library, starts the one environment of the process,
// picks execution providers with fall-back, and holds sessions and tensors so that C memory has one owner each.
//
// In goes the path of a model that mllm4rec exported; modelfile.Check walks it before ONNX Runtime sees it. Out comes a
// Session with Run. Python never runs, and nothing here knows which model it is: see runtime/retrieve for that.
package ort

import (
	"errors"
	"fmt"

	onnx "github.com/yalue/onnxruntime_go"

	"mllm4rec/internal/fail"
	"mllm4rec/runtime/ort/modelfile"
)

// Options say how a session is made. The zero value runs on the CPU with ONNX Runtime's own number of threads.
type Options struct {
	// Library is the path of libonnxruntime, or of its folder. Empty looks where FindLibrary says.
	Library string
	// Providers are tried in this order: "tensorrt", "cuda", "cpu". Empty means "cpu".
	Providers []string
	// Device is what the providers of GPUs are told.
	Device Device
	// Ranges says between which shapes a model's inputs vary, for TensorRT. Nil lets it find out as it meets them, and build anew.
	Ranges func(*modelfile.Info) []Range
	// Strict makes a provider that cannot load an error. Otherwise the next one is tried and Warn is told why, once.
	Strict bool
	// Threads is how many threads one Run uses on the CPU; 0 is one a physical core.
	Threads int
	// Profile is the prefix of a JSON trace that is written when the session closes. Empty profiles nothing.
	Profile string
	// Kind is the mllm4rec.kind that the caller can run, such as "retriever". Empty takes any known kind.
	Kind string
	// Outputs says which outputs runs give on a provider, in which order. Nil, or an empty answer, gives all of the model's.
	Outputs func(provider string) []string
	// Warn is told what the user should know, one line at a time. Nil prints to standard error.
	Warn func(line string)
}

// Session is an opened model. Run may be called from several goroutines at once; Close may not run beside it.
type Session struct {
	session  *onnx.DynamicAdvancedSession
	model    *modelfile.Info
	provider string
}

// Open checks the model file and opens it. A file that is no model of ours, or that is not safe to load, is a usage
// error, and so are an unknown provider, a missing library, and a library of another version.
func Open(model string, o Options) (*Session, error) {
	providers, err := checkProviders(o.Providers)
	if err != nil {
		return nil, err
	}
	if err := checkDevice(o.Device); err != nil {
		return nil, err
	}
	warnUnused(o, providers)
	info, err := modelfile.Check(model)
	if err != nil {
		return nil, err
	}
	if o.Kind != "" && info.Kind != o.Kind {
		return nil, fail.Usagef("%s: this is a %s model, but a %s is needed here", model, info.Kind, o.Kind)
	}
	if err := start(o.Library); err != nil {
		return nil, err
	}
	s := &Session{model: info}
	if s.session, s.provider, err = openOn(providers, o, model, info); err != nil {
		return nil, err
	}
	return s, nil
}

// Model is what the file says of itself: metadata, inputs and outputs.
func (s *Session) Model() *modelfile.Info { return s.model }

// Provider is the first provider that the session runs on, such as "cuda".
func (s *Session) Provider() string { return s.provider }

// Close frees the session, and writes the profile where one was asked for. A second call does nothing.
func (s *Session) Close() error {
	if s.session == nil {
		return nil
	}
	err := s.session.Destroy()
	s.session = nil
	return err
}

// newSession makes the session on exactly these providers.
func newSession(providers []string, o Options, info *modelfile.Info) (session *onnx.DynamicAdvancedSession, err error) {
	options, err := sessionOptions(o)
	if err != nil {
		return nil, fmt.Errorf("session options: %w", err)
	}
	defer func() { err = errors.Join(err, options.Destroy()) }()
	if err := appendProviders(options, providers, o.Device, o.ranges(info)); err != nil {
		return nil, err
	}
	outputs := info.OutputNames()
	if o.Outputs != nil {
		if some := o.Outputs(providers[0]); len(some) > 0 {
			outputs = some
		}
	}
	return onnx.NewDynamicAdvancedSession(info.File, info.InputNames(), outputs, options)
}

func sessionOptions(o Options) (*onnx.SessionOptions, error) {
	options, err := onnx.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	err = errors.Join(
		options.SetGraphOptimizationLevel(onnx.GraphOptimizationLevelEnableAll),
		options.SetExecutionMode(onnx.ExecutionModeSequential),
	)
	// Threads that wait do not spin: that takes the cores from who prepares the next batch, and from everybody else.
	err = errors.Join(err, options.AddSessionConfigEntry("session.intra_op.allow_spinning", "0"))
	if o.Threads > 0 {
		err = errors.Join(err, options.SetIntraOpNumThreads(o.Threads))
	}
	if o.Profile != "" {
		err = errors.Join(err, options.EnableProfiling(o.Profile))
	}
	if err != nil {
		return nil, errors.Join(err, options.Destroy())
	}
	return options, nil
}
