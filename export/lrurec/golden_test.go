package lrurec

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mllm4rec/export/weights"
	"mllm4rec/internal/testkit"
)

// golden is a reference model, unpacked as the trainer would have written it.
type golden struct {
	config
	dir    string
	items  []int64 // [batch, length], left-padded
	scores []float32
	batch  int
	length int
}

func (g golden) weights() string { return filepath.Join(g.dir, "retriever.safetensors") }
func (g golden) json() string    { return filepath.Join(g.dir, "retriever.json") }

func openGolden(t testing.TB, name string) golden {
	t.Helper()
	f, err := weights.Open(testkit.Shared(t, filepath.Join("goldens", "lrurec", name+".safetensors")))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	g := golden{dir: t.TempDir()}
	var tensors []weights.Tensor
	for _, name := range f.Names() {
		if short, ok := strings.CutPrefix(name, "param."); ok {
			tensor := testkit.Must(f.Tensor(name))(t)
			tensor.Name = short
			tensors = append(tensors, tensor)
		}
	}
	items := testkit.Must(f.Tensor("input.items"))(t)
	g.batch, g.length = int(items.Shape[0]), int(items.Shape[1])
	for i := 0; i < len(items.Data); i += 8 {
		g.items = append(g.items, int64(items.Data[i])|int64(items.Data[i+1])<<8)
	}
	scores := testkit.Must(f.Tensor("output.scores_last"))(t)
	g.scores = testkit.Must(scores.Float32())(t)
	table := testkit.Must(f.Info("param.embedding.token.weight"))(t)
	lambda := testkit.Must(f.Info("param.model.lru_blocks.0.lru_layer.params_log"))(t)
	g.config = config{Architecture: architecture, NumItems: int(table.Shape[0] - 1), Hidden: int(table.Shape[1]), LRUHidden: int(lambda.Shape[1]), MaxLength: g.length}
	if _, err := fmt.Sscan(f.Metadata()["blocks"], &g.Blocks); err != nil {
		t.Fatal(err)
	}
	g.write(t, tensors)
	return g
}

func (g golden) write(t testing.TB, tensors []weights.Tensor) {
	t.Helper()
	if err := weights.Write(g.weights(), tensors, nil); err != nil {
		t.Fatal(err)
	}
	g.writeConfig(t)
}

func (g golden) writeConfig(t testing.TB) {
	t.Helper()
	text := testkit.Must(json.Marshal(g.config))(t)
	if err := os.WriteFile(g.json(), text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// export writes the model under a design.
func (g golden) export(t testing.TB, o Options, d design) string {
	t.Helper()
	out := filepath.Join(g.dir, fmt.Sprintf("retriever-%v-%d-%p.onnx", o.Scores, d.chunk, d.carry))
	f := testkit.Must(weights.Open(g.weights()))(t)
	defer f.Close()
	m := testkit.Must(load(f, g.weights(), g.json(), g.config))(t)
	graph := m.build(o, d)
	model, err := graph.Finish()
	if err != nil {
		_ = graph.Print(os.Stderr)
		t.Fatal(err)
	}
	if err := model.Write(t.Context(), out); err != nil {
		t.Fatal(err)
	}
	return out
}

// masked is the reference's scores with the history and item 0 at -inf.
func (g golden) masked() []float32 {
	n := g.NumItems + 1
	scores := append([]float32{}, g.scores...)
	for user := range g.batch {
		scores[user*n] = float32(math.Inf(-1))
		for _, item := range g.items[user*g.length : (user+1)*g.length] {
			scores[user*n+int(item)] = float32(math.Inf(-1))
		}
	}
	return scores
}
