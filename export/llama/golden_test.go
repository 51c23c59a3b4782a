package llama

import (
	"encoding/binary"
	"path/filepath"
	"testing"

	"mllm4rec/export/weights"
	"mllm4rec/internal/testkit"
)

// goldens are tiny models that Hugging Face's Transformers made, with an adapter of peft's each.
var goldens = []string{"llama", "llama-tied-mha", "llama3-rope", "mistral", "qwen2", "qwen3"}

// golden is one of them, and what it must say.
type golden struct {
	dir     string
	ck      *Checkpoint
	adapter *Adapter
	prompts [][]int32 // without their padding
	letters []int32
	// bare and adapted are the logits of the last position without and with the adapter, [prompts][vocabulary].
	bare, adapted [][]float32
}

func openGolden(t testing.TB, name string) golden {
	t.Helper()
	g := golden{dir: testkit.Shared(t, filepath.Join("goldens", "llama", name))}
	g.ck = open(t, g.dir)
	g.adapter = testkit.Must(ReadAdapter(filepath.Join(g.dir, "adapter")))(t)
	f := testkit.Must(weights.Open(filepath.Join(g.dir, "golden.safetensors")))(t)
	defer f.Close()
	ids, mask := integers(t, f, "input_ids"), integers(t, f, "attention_mask")
	for row, length := 0, len(ids)/3; row < 3; row++ {
		var prompt []int32
		for i := row * length; i < (row+1)*length; i++ {
			if mask[i] == 1 {
				prompt = append(prompt, ids[i])
			}
		}
		g.prompts = append(g.prompts, prompt)
	}
	g.letters = integers(t, f, "letters")
	g.bare, g.adapted = matrixOf(t, f, "logits_last"), matrixOf(t, f, "adapter.logits_last")
	return g
}

func integers(t testing.TB, f *weights.File, name string) []int32 {
	t.Helper()
	var all []int32
	raw := testkit.Must(f.Tensor(name))(t).Data
	for i := 0; i < len(raw); i += 8 {
		all = append(all, int32(binary.LittleEndian.Uint64(raw[i:])))
	}
	return all
}

func matrixOf(t testing.TB, f *weights.File, name string) [][]float32 {
	t.Helper()
	values, shape, err := f.Float32(name)
	if err != nil {
		t.Fatal(err)
	}
	rows := make([][]float32, shape[0])
	for i := range rows {
		rows[i] = values[i*int(shape[1]) : (i+1)*int(shape[1])]
	}
	return rows
}

// open opens a checkpoint until the test ends.
func open(t testing.TB, path string) *Checkpoint {
	t.Helper()
	ck := testkit.Must(Open(path))(t)
	t.Cleanup(func() {
		if err := ck.Close(); err != nil {
			t.Error(err)
		}
	})
	return ck
}
