// Package onnxpb holds the Go types of ONNX model files, generated from the ONNX project's own schema: onnx.proto here
// is onnx-ml.proto of release 1.23 (IR version 14), unchanged but for the note at its head. To make onnx.pb.go again,
// have protoc (3.21 made it) and protoc-gen-go 1.36 on PATH and run go generate.
package onnxpb

//go:generate protoc --go_out=. --go_opt=paths=source_relative --go_opt=Monnx.proto=mllm4rec/internal/onnxpb onnx.proto
