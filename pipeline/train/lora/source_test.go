package lora

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"

	"mllm4rec/export/llama"
)

// randomWeights is a Source of any shape, the same every time.
type randomWeights map[string][]int64 // shapes

func newRandomWeights(c llama.Config) randomWeights {
	w := randomWeights{"model.embed_tokens.weight": {int64(c.VocabSize), int64(c.Hidden)}}
	m, err := design(nil, c, Settings{Rank: 1})
	if err != nil {
		panic(err)
	}
	for _, t := range m.tensors {
		w[t.name] = t.shape
	}
	return w
}

func (w randomWeights) Float32(name string) ([]float32, []int64, error) {
	shape, n := w[name], 1
	for _, dim := range shape {
		n *= int(dim)
	}
	values := w.values(name, n)
	for i := range values {
		if strings.Contains(name, "norm") {
			values[i]++
		}
	}
	return values, shape, nil
}

func (w randomWeights) values(seed string, n int) []float32 {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(seed))
	random, values := rand.New(rand.NewPCG(hash.Sum64(), 1)), make([]float32, n)
	for i := range values {
		values[i] = (random.Float32() - 0.5) * 0.1
	}
	return values
}

func (w randomWeights) Rows(name string, rows []int) ([]float32, error) {
	var values []float32
	for _, row := range rows {
		values = append(values, w.values(fmt.Sprint(name, row), int(w[name][1]))...)
	}
	return values, nil
}
