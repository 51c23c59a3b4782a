package main

import (
	"context"

	"mllm4rec/configs"
	"mllm4rec/pipeline/recommend"
	"mllm4rec/pipeline/run"
	"mllm4rec/runtime/serve"
)

// openBackend opens the models of the run folder for the service.
func (a *app) openBackend(ctx context.Context, loaded *configs.Loaded, watch serve.Observer) (serve.Backend, error) {
	options := run.Live(loaded, serveLog(a, loaded.Serve.Log))
	options.Observe = watch
	backend, err := recommend.Open(ctx, options)
	if err != nil {
		return nil, err // and no *recommend.Backend, which would be no nil Backend
	}
	return backend, nil
}
