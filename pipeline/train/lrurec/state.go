package lrurec

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"unsafe"

	"mllm4rec/export/weights"
	"mllm4rec/pipeline/train/loop"
	"mllm4rec/pipeline/worker"
)

// options are the loop's. The fingerprint is of the spec, less what changes no weights, and of the data.
func options(spec worker.RetrieverSpec, data *sequences) (loop.Options, error) {
	o := loop.Options{Out: spec.Out, Samples: len(data.windows), Bounds: spec.Bounds}
	spec.Sequences, spec.Out, spec.MaxMinutes, spec.CheckpointEvery, spec.LogEvery, spec.Patience = "", "", 0, 0, 0, 0
	if spec.Schedule == "constant" {
		spec.MaxSteps = 0
	}
	text, err := json.Marshal(spec)
	if err != nil {
		return o, err
	}
	sum := sha256.Sum256(append(text, data.digest...))
	o.Fingerprint = hex.EncodeToString(sum[:])
	return o, nil
}

// Tensors are the weights, moments and average as they lie in memory.
func (t *task) Tensors() []weights.Tensor {
	m, s, a := t.model, t.moments, t.average
	if a == nil {
		a = &average{}
	}
	var tensors []weights.Tensor
	for name, values := range map[string][]float32{
		"table": m.table.Data, "table.first": s.table[0], "table.second": s.table[1],
		"bias": m.itemBias, "bias.first": s.bias[0], "bias.second": s.bias[1],
		"dense": m.dense.Data, "dense.first": s.dense[0], "dense.second": s.dense[1],
		"table.average": a.table, "bias.average": a.bias, "dense.average": a.dense,
		"table.last": bits(s.last), "bias.last": bits(s.lastBias),
	} {
		if values != nil {
			tensors = append(tensors, loop.View(name, values, int64(len(values))))
		}
	}
	return tensors
}

// bits shows integers as the floats with the same bits, which is how they are stored.
func bits(values []int32) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(values))), len(values))
}

// Best are the weights that were validated, the averaged ones where there are any.
func (t *task) Best() ([]weights.Tensor, map[string]string) {
	meta := map[string]string{"format": "pt", "mllm4rec.architecture": "lrurec"}
	if a := t.average; a != nil {
		return t.model.export(a.table, a.bias, a.dense), meta
	}
	return t.model.Export(), meta
}
