package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"

	"mllm4rec/bench/beside"
	"mllm4rec/export/lrurec"
	"mllm4rec/export/weights"
	"mllm4rec/pipeline/retrieve"
)

// input is what both sides work on: files in a folder, and the histories of the drawn users.
type input struct {
	weights, model, histories string
	items                     int
	users                     [][]int32
}

// prepareInput prepares the data set, draws users, and makes a random model of the size that upstream trains.
func prepareInput(ctx context.Context, d beside.Set, users int, dir string) (input, error) {
	rows, items, err := d.Prepare(ctx, dir)
	if err != nil {
		return input{}, err
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	if users > 0 && users < len(rows) {
		rows = rows[:users]
	}
	in := input{
		weights: filepath.Join(dir, "retriever.safetensors"), model: filepath.Join(dir, "retriever.onnx"),
		histories: filepath.Join(dir, "histories.i32"), items: items,
	}
	var packed []byte
	for _, row := range rows {
		history := retrieve.History(row, retrieve.Test)
		// The reference looks at, and hides, the newest items only: so do we here.
		history = history[max(0, len(history)-d.Length):]
		in.users = append(in.users, history)
		packed = binary.LittleEndian.AppendUint32(packed, uint32(len(history)))
		for _, item := range history {
			packed = binary.LittleEndian.AppendUint32(packed, uint32(item))
		}
	}
	if err := os.WriteFile(in.histories, packed, 0o600); err != nil {
		return input{}, err
	}
	return in, in.writeModel(ctx, d.Length, dir)
}

const hidden, channels, blocks = 64, 128, 2

func (in input) writeModel(ctx context.Context, maxLength int, dir string) error {
	config := filepath.Join(dir, "retriever.json")
	text, err := json.Marshal(map[string]any{
		"architecture": "lrurec", "num_items": in.items, "hidden": hidden, "lru_hidden": channels, "blocks": blocks, "max_length": maxLength,
	})
	if err != nil {
		return err
	}
	if err := os.WriteFile(config, text, 0o600); err != nil {
		return err
	}
	if err := weights.Write(in.weights, randomWeights(int64(in.items)), nil); err != nil {
		return err
	}
	return lrurec.Export(ctx, in.weights, config, in.model, lrurec.Options{})
}

// randomWeights are of the names and shapes of a trained model, large enough that scores differ clearly.
func randomWeights(items int64) []weights.Tensor {
	random := rand.New(rand.NewPCG(3, 4))
	var all []weights.Tensor
	add := func(name string, mean, deviation float64, shape ...int64) {
		n := int64(1)
		for _, d := range shape {
			n *= d
		}
		values := make([]float32, n)
		for i := range values {
			values[i] = float32(mean + deviation*random.NormFloat64())
		}
		all = append(all, weights.FromFloat32(name, shape, values))
	}
	norm := func(name string) { add(name+".weight", 1, 0.1, hidden); add(name+".bias", 0, 0.1, hidden) }
	add("embedding.token.weight", 0, 0.1, items+1, hidden)
	add("model.bias", 0, 0.01, items+1)
	norm("embedding.layer_norm")
	for b := range blocks {
		lru, ffn := fmt.Sprintf("model.lru_blocks.%d.lru_layer.", b), fmt.Sprintf("model.lru_blocks.%d.feed_forward.", b)
		add(lru+"in_proj.weight", 0, 0.1, channels, hidden, 2)
		add(lru+"in_proj.bias", 0, 0.1, channels, 2)
		add(lru+"out_proj.weight", 0, 0.1, hidden, channels, 2)
		add(lru+"out_proj.bias", 0, 0.1, hidden, 2)
		add(ffn+"w_1.weight", 0, 0.1, 4*hidden, hidden)
		add(ffn+"w_1.bias", 0, 0.1, 4*hidden)
		add(ffn+"w_2.weight", 0, 0.1, hidden, 4*hidden)
		add(ffn+"w_2.bias", 0, 0.1, hidden)
		norm(lru + "layer_norm")
		norm(ffn + "layer_norm")
		all = append(all, weights.FromFloat32(lru+"params_log", []int64{3, channels}, ring(random)))
	}
	return all
}

// ring draws λ with 0.8 ≤ |λ| ≤ 0.99, and γ = √(1-|λ|²); rows are the logarithms of ν, θ and γ.
func ring(random *rand.Rand) []float32 {
	logs := make([]float32, 3*channels)
	for c := range channels {
		radius := math.Sqrt(0.64 + random.Float64()*(0.9801-0.64))
		logs[c] = float32(math.Log(-math.Log(radius)))
		logs[channels+c] = float32(math.Log(2 * math.Pi * random.Float64()))
		logs[2*channels+c] = float32(math.Log(math.Sqrt(1 - radius*radius)))
	}
	return logs
}
