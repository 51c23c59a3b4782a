package lora

import (
	"fmt"

	"mllm4rec/pipeline/train/torch"
)

// Source is where a base model's tensors come from: export/llama.Checkpoint.
type Source interface {
	// Float32 reads a tensor under its Hugging Face name.
	Float32(name string) ([]float32, []int64, error)
	// Rows reads some rows of a two-dimensional tensor.
	Rows(name string, rows []int) ([]float32, error)
}

// weight is one frozen matrix [out, in], stacked from one or more tensors.
type weight struct {
	out, in int
	dense   *torch.Matrix // as the products need it; nil where the base is held in fewer bits
}

// loadWeight reads tensors and stacks their rows.
func (m *Model) loadWeight(source Source, out, in int, names ...string) (*weight, error) {
	w := &weight{out: out, in: in, dense: m.scratch(out, in)}
	if err := m.engine.Err(); err != nil {
		return nil, err
	}
	row := 0
	for _, name := range names {
		values, shape, err := source.Float32(name)
		if err != nil {
			return nil, err
		}
		if len(shape) != 2 || int(shape[1]) != in || row+int(shape[0]) > out {
			return nil, fmt.Errorf("tensor %s is %v; the model needs [*, %d] in %d rows", name, shape, in, out-row)
		}
		copy(w.dense.Data[row*in:], values)
		row += int(shape[0])
	}
	if row != out {
		return nil, fmt.Errorf("tensors %v have %d rows, the model needs %d", names, row, out)
	}
	return w, nil
}

// loadVector reads a tensor of one dimension.
func loadVector(source Source, name string, length int) ([]float32, error) {
	values, _, err := source.Float32(name)
	if err == nil && len(values) != length {
		err = fmt.Errorf("tensor %s has %d elements, the model needs %d", name, len(values), length)
	}
	return values, err
}

// matrix is the weight as the products need it, good until the next call for any weight.
func (w *weight) matrix() *torch.Matrix { return w.dense }
