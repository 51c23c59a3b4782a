package lrurec

import (
	"fmt"

	"mllm4rec/export/weights"
	"mllm4rec/internal/fail"
)

const architecture = "lrurec"

// config is what the export needs of retriever.json; the trainer writes more.
type config struct {
	Architecture string `json:"architecture"`
	NumItems     int    `json:"num_items"`
	Hidden       int    `json:"hidden"`
	LRUHidden    int    `json:"lru_hidden"`
	Blocks       int    `json:"blocks"`
	MaxLength    int    `json:"max_length"`
}

func readConfig(path string) (config, error) {
	var c config
	if err := weights.ReadJSON(path, "training the retriever writes it beside the weights", &c); err != nil {
		return config{}, err
	}
	if c.Architecture != architecture {
		return config{}, fail.Usagef("%s: architecture is %q; this exports %q only", path, c.Architecture, architecture)
	}
	if err := c.check(); err != nil {
		return config{}, fail.Usagef("%s: %w", path, err)
	}
	return c, nil
}

// check bounds the sizes, as the trainer does, so that none of their products overflows.
func (c config) check() error {
	for _, field := range []struct {
		name        string
		value, most int
	}{
		{"num_items", c.NumItems, 1<<31 - 2}, {"hidden", c.Hidden, 1 << 13}, {"lru_hidden", c.LRUHidden, 1 << 14},
		{"blocks", c.Blocks, 64}, {"max_length", c.MaxLength, 1 << 16},
	} {
		if field.value < 1 || field.value > field.most {
			return fmt.Errorf("%s is %d, it must be from 1 to %d", field.name, field.value, field.most)
		}
	}
	return nil
}
