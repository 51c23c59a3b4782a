package lrurec

import (
	"encoding/json"
	"fmt"
	"path/filepath"

	"mllm4rec/export/weights"
	"mllm4rec/internal/atomicfile"
	"mllm4rec/pipeline/train/loop"
	"mllm4rec/pipeline/worker"
)

const (
	tableName = "embedding.token.weight"
	biasName  = "model.bias"
)

// Import fills the weights from read, which returns a tensor's values by its exported name.
func (m *Model) Import(read func(name string) ([]float32, error)) error {
	all := append([]*parameter{
		{name: tableName, value: m.table.Data},
		{name: biasName, value: m.itemBias},
	}, m.parameters...)
	for _, p := range all {
		values, err := read(p.name)
		if err != nil {
			return err
		}
		if err := p.imported(values, p.value); err != nil {
			return err
		}
	}
	return nil
}

// Export returns the weights by the names and in the layouts of the paper's code, complex numbers with a last axis (real,
// imaginary). The big table is not copied: write it before the next step.
func (m *Model) Export() []weights.Tensor { return m.export(m.table.Data, m.itemBias, m.dense.Data) }

// export does so with weights that lie as the model's do.
func (m *Model) export(table, bias, dense []float32) []weights.Tensor {
	items, d := int64(m.Items+1), int64(m.Hidden)
	tensors := []weights.Tensor{
		loop.View(tableName, table, items, d),
		loop.View(biasName, bias, items),
	}
	for _, p := range m.parameters {
		offset := offsetIn(m.dense.Data, p.value)
		tensors = append(tensors, weights.FromFloat32(p.name, p.shape, p.exported(dense[offset:offset+p.size()])))
	}
	return tensors
}

// config is retriever.json: what the exporter must know besides the tensors.
type config struct {
	Architecture string  `json:"architecture"`
	NumItems     int     `json:"num_items"`
	Hidden       int     `json:"hidden"`
	LRUHidden    int     `json:"lru_hidden"`
	Blocks       int     `json:"blocks"`
	MaxLength    int     `json:"max_length"`
	Loss         string  `json:"loss"`
	Dropout      float64 `json:"dropout"`
	LRUDropout   float64 `json:"lru_dropout"`
	Seed         int64   `json:"seed"`
	BestStep     int     `json:"best_step"`
	// Validation holds the metrics of BestStep, the history not excluded.
	Validation map[string]float64 `json:"validation"`
}

// writeConfig writes retriever.json into the spec's Out folder and returns its path.
func writeConfig(spec worker.RetrieverSpec, state loop.State) (string, error) {
	text, err := json.MarshalIndent(config{
		Architecture: "lrurec", NumItems: spec.NumItems, Hidden: spec.Hidden, LRUHidden: spec.Channels(), Blocks: spec.Blocks,
		MaxLength: spec.MaxLength, Loss: spec.Loss, Dropout: spec.Dropout, LRUDropout: spec.LRUDropout, Seed: spec.Seed,
		BestStep: state.BestStep, Validation: state.Best,
	}, "", "  ")
	if err != nil {
		return "", fmt.Errorf("retriever.json: %w", err)
	}
	path := filepath.Join(spec.Out, "retriever.json")
	return path, atomicfile.WriteFile(path, append(text, '\n'))
}
