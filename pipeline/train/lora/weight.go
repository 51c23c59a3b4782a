package lora

import (
	"fmt"
	"runtime/debug"
	"slices"

	"mllm4rec/pipeline/train/torch"
)

// Source is where a base model's tensors come from: export/llama.Checkpoint.
type Source interface {
	// Float32 reads a tensor under its Hugging Face name.
	Float32(name string) ([]float32, []int64, error)
	// Rows reads some rows of a two-dimensional tensor.
	Rows(name string, rows []int) ([]float32, error)
}

// tensor is a part of the base that has its memory: where its values come from and where they go.
type tensor struct {
	name  string
	shape []int64
	put   func(values []float32)
}

func (m *Model) expect(name string, put func(values []float32), shape ...int64) {
	m.tensors = append(m.tensors, tensor{name, shape, put})
}

// load reads the base. Only one tensor is there in fp32 at a time.
func (m *Model) load() error {
	for _, t := range m.tensors {
		values, shape, err := m.source.Float32(t.name)
		if err != nil {
			return err
		}
		if !slices.Equal(shape, t.shape) {
			return fmt.Errorf("tensor %s is %v, the model needs %v", t.name, shape, t.shape)
		}
		t.put(values)
	}
	m.tensors = nil
	defer debug.FreeOSMemory() // what was read is garbage now
	return m.loadLetters()
}

// loadLetters reads the rows of the head that the loss reads, where those are not all.
func (m *Model) loadLetters() error {
	if m.settings.Head == nil {
		return nil
	}
	values, err := m.letterRows()
	if err == nil {
		copy(m.head.dense.Data, values)
	}
	return err
}

// letterRows are the rows of the output layer for the tokens of the head, [head, hidden].
func (m *Model) letterRows() ([]float32, error) {
	rows := make([]int, len(m.settings.Head))
	for i, token := range m.settings.Head {
		rows[i] = int(token)
	}
	return m.source.Rows(m.headName(), rows)
}

func (m *Model) headName() string {
	if m.config.TieEmbeddings {
		return "model.embed_tokens.weight"
	}
	return "lm_head.weight"
}

// weight is one frozen matrix [out, in], stacked from one or more tensors.
type weight struct {
	out, in int
	dense   *torch.Matrix // as products need it: the weight itself, or memory that all weights in fewer bits share
	parts   []part        // the tensors of a weight in fewer bits
}

type part struct {
	compressed
	elements int
}

// matrix is the weight as the products need it, good until the next call for any weight.
func (w *weight) matrix() *torch.Matrix {
	at := 0
	for _, p := range w.parts {
		p.unpack(w.dense.Data[at : at+p.elements])
		at += p.elements
	}
	return w.dense
}

// newWeight is a matrix of so many columns without rows yet.
func (m *Model) newWeight(in int) *weight {
	w := &weight{in: in}
	m.weights = append(m.weights, w)
	return w
}

// stack adds a tensor's rows to w.
func (m *Model) stack(w *weight, precision, name string, rows int) {
	from, n := w.out*w.in, rows*w.in
	w.out += rows
	put := func(values []float32) { copy(w.dense.Data[from:], values) }
	if precision != "fp32" {
		p := newCompressed(&m.memory.base, precision, n)
		w.parts, put = append(w.parts, part{p, n}), p.pack
	}
	m.expect(name, put, int64(rows), int64(w.in))
}

// placeWeights gives dense weights their memory, and those in fewer bits one matrix for all to be unpacked into.
func (m *Model) placeWeights() {
	most := 0
	for _, w := range m.weights {
		if w.parts == nil {
			w.dense = m.memory.base.matrix(w.out, w.in)
		} else {
			most = max(most, w.out*w.in)
		}
	}
	if most == 0 {
		return
	}
	shared := m.memory.scratch.matrix(1, most)
	for _, w := range m.weights {
		if w.parts != nil {
			w.dense = m.memory.scratch.slice(shared, w.out, w.in)
		}
	}
}
