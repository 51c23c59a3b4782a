// Package worker is the contract between the command line and mllm4rec-train, the one binary that links libtorch: a spec
// file in, JSON lines of progress out, files written atomically. It starts the worker with the environment that is fastest
// for libtorch, forwards cancellation, and turns a crash into one line. It imports no libtorch.
package worker
