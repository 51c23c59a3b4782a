package lrurec

import "fmt"

const (
	tableName = "embedding.token.weight"
	biasName  = "model.bias"
)

// Import fills the weights from read, which returns a tensor's values by its exported name.
func (m *Model) Import(read func(name string) ([]float32, error)) error {
	fill := func(name string, into func(values []float32) error) error {
		values, err := read(name)
		if err != nil {
			return err
		}
		return into(values)
	}
	straight := func(name string, to []float32) error {
		return fill(name, func(values []float32) error { return (&parameter{name: name}).imported(values, to) })
	}
	if err := straight(tableName, m.table.Data); err != nil {
		return err
	}
	if err := straight(biasName, m.itemBias); err != nil {
		return err
	}
	for _, p := range m.parameters {
		err := fill(p.name, func(values []float32) error { return p.imported(values, p.value) })
		if err != nil {
			return fmt.Errorf("weights: %w", err)
		}
	}
	return nil
}
