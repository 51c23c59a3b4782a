package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"mllm4rec/export/onnx"
	"mllm4rec/runtime/ort"
)

// measurePeak is the FLOP a CPU second of the best of a few products [rows, side] × [side, side] in float32, as ONNX Runtime makes
// them, on the threads of the benchmark. CPU seconds are counted, since others may be at work on the machine.
func measurePeak(ctx context.Context, o options) (flops float64, err error) {
	const rows, side, tries = 2048, 2048, 5
	dir, err := os.MkdirTemp("", "peak")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "peak.onnx")
	if err := writeProduct(ctx, path, side); err != nil {
		return 0, err
	}
	session, err := ort.Open(path, ort.Options{Library: o.library, Threads: o.threads})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	x, y := make([]float32, rows*side), make([]float32, rows*side)
	for i := range x {
		x[i] = float32(i%7) - 3
	}
	var lent ort.Lent
	defer lent.Close()
	in, out := []ort.Value{ort.Lend(&lent, x, rows, side)}, []ort.Value{ort.Lend(&lent, y, rows, side)}
	if err := lent.Err(); err != nil {
		return 0, err
	}
	for range tries {
		used := cpuSeconds(usage())
		if err := session.Run(ctx, in, out); err != nil {
			return 0, err
		}
		flops = max(flops, linear(rows, side, side)/(cpuSeconds(usage())-used))
	}
	return flops, nil
}

// writeProduct writes a graph of one product. It calls itself a retriever, since what is no model of ours is not run.
func writeProduct(ctx context.Context, path string, side int) error {
	weights := make([]float32, side*side)
	for i := range weights {
		weights[i] = float32(i%5) - 2
	}
	g := onnx.New("peak")
	g.Metadata("mllm4rec.format", "1")
	g.Metadata("mllm4rec.kind", "retriever")
	x := g.Input("x", onnx.Float32, onnx.Sym("rows"), onnx.Num(int64(side)))
	g.Output("y", g.MatMul(x, g.Float32("w", []int64{int64(side), int64(side)}, weights)))
	model, err := g.Finish()
	if err != nil {
		return err
	}
	return model.Write(ctx, path)
}
