package orttest

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"mllm4rec/internal/testkit"
)

// Tiny is the retriever of runtime/ort/testdata: a user is the sum of the embeddings of the newest items, the scores are
// products with the embeddings.
type Tiny struct {
	Path             string
	Items, MaxLength int
	embeddings       [][]float64 // [items+1, width]
}

// OpenTiny reads the embeddings that the model was made of.
func OpenTiny(t testing.TB) Tiny {
	t.Helper()
	dir := filepath.Join(testkit.Root(t), "runtime", "ort", "testdata")
	raw, err := os.ReadFile(filepath.Join(dir, "tiny.json"))
	if err != nil {
		t.Fatal(err)
	}
	tiny := Tiny{Path: filepath.Join(dir, "tiny.onnx"), MaxLength: 6}
	if err := json.Unmarshal(raw, &tiny.embeddings); err != nil {
		t.Fatal(err)
	}
	tiny.Items = len(tiny.embeddings) - 1
	return tiny
}

// Scores computes what the model should say of every item, [items+1], with padding and the whole history at minus
// infinity.
func (tiny Tiny) Scores(history []int32) []float64 {
	e := tiny.embeddings
	user := make([]float64, len(e[0]))
	for _, item := range history[max(0, len(history)-tiny.MaxLength):] {
		for i, v := range e[item] {
			user[i] += v
		}
	}
	scores := make([]float64, len(e))
	for item := range e {
		for i, v := range e[item] {
			scores[item] += v * user[i]
		}
	}
	scores[0] = math.Inf(-1)
	for _, item := range history {
		scores[item] = math.Inf(-1)
	}
	return scores
}
