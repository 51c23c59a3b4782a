package ort

import (
	"context"
	"errors"
	"fmt"

	onnx "github.com/yalue/onnxruntime_go"
)

// Run runs the model once. Inputs and outputs stand in the order of Model().Inputs and .Outputs (or of Options.Outputs), and
// every output's shape is the one the model will give. When ctx ends, ONNX Runtime stops after the node it is at, and Run returns
// ctx's error.
func (s *Session) Run(ctx context.Context, inputs, outputs []Value) error {
	if s.session == nil {
		return errors.New("the session is closed")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	in, out := values(inputs), values(outputs)
	if ctx.Done() == nil {
		return s.explain(s.session.Run(in, out))
	}
	options, err := onnx.NewRunOptions()
	if err != nil {
		return err
	}
	err = s.runUntil(ctx, options, in, out)
	return errors.Join(err, options.Destroy())
}

// runUntil runs with options, and terminates the run through them when ctx ends. It returns when nobody holds them.
func (s *Session) runUntil(ctx context.Context, options *onnx.RunOptions, in, out []onnx.Value) error {
	terminated := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(terminated)
		_ = options.Terminate()
	})
	err := s.session.RunWithOptions(in, out, options)
	if !stop() {
		<-terminated
		if err != nil {
			return ctx.Err()
		}
	}
	return s.explain(err)
}

func (s *Session) explain(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", s.model.Path, err)
}

func values(list []Value) []onnx.Value {
	all := make([]onnx.Value, len(list))
	for i, v := range list {
		all[i] = v.value()
	}
	return all
}
