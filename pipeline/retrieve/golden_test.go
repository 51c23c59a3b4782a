package retrieve_test

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"mllm4rec/export/lrurec"
	"mllm4rec/export/weights"
	"mllm4rec/runtime/ort/orttest"
	"mllm4rec/runtime/retrieve"
)

// golden is one model of the reference, with what it says of some histories.
type golden struct {
	items  []int64   // [batch, length], 0 is padding
	scores []float32 // [batch, numItems+1], at the last position
	model  string    // the exported file

	batch, length, numItems int
}

// exportGolden writes the golden's parameters as a trained model and exports it.
func exportGolden(t *testing.T, name string) golden {
	t.Helper()
	f, err := weights.Open(filepath.Join("..", "train", "lrurec", "testdata", name+".safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var parameters []weights.Tensor
	for _, n := range f.Names() {
		if bare, ok := strings.CutPrefix(n, "param."); ok {
			tensor, err := f.Tensor(n)
			if err != nil {
				t.Fatal(err)
			}
			tensor.Name = bare
			parameters = append(parameters, tensor)
		}
	}
	g := golden{}
	g.read(t, f)
	dir := t.TempDir()
	g.model = filepath.Join(dir, "retriever.onnx")
	hidden := number(t, f.Metadata()["d_model"])
	config, err := json.Marshal(map[string]any{
		"architecture": "lrurec", "num_items": g.numItems, "hidden": hidden, "lru_hidden": 2 * hidden,
		"blocks": number(t, f.Metadata()["blocks"]), "max_length": g.length,
	})
	if err != nil {
		t.Fatal(err)
	}
	tensors, settings := filepath.Join(dir, "retriever.safetensors"), filepath.Join(dir, "retriever.json")
	if err := weights.Write(tensors, parameters, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(settings, config, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := lrurec.Export(t.Context(), tensors, settings, g.model, lrurec.Options{}); err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *golden) read(t *testing.T, f *weights.File) {
	t.Helper()
	items, err := f.Tensor("input.items")
	if err != nil {
		t.Fatal(err)
	}
	for b := items.Data; len(b) >= 8; b = b[8:] {
		g.items = append(g.items, int64(binary.LittleEndian.Uint64(b)))
	}
	scores, shape, err := f.Float32("output.scores_last")
	if err != nil {
		t.Fatal(err)
	}
	g.scores, g.batch, g.length, g.numItems = scores, int(items.Shape[0]), int(items.Shape[1]), int(shape[1]-1)
	if items.DType != weights.I64 || len(g.items) != g.batch*g.length {
		t.Fatalf("input.items is %s %v", items.DType, items.Shape)
	}
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestGoldensEndToEnd runs weights of the reference through export and ONNX Runtime. The float32 sums are taken in another
// order than PyTorch takes them, hence the tolerance of 1e-4 on scores of a few units.
func TestGoldensEndToEnd(t *testing.T) {
	t.Parallel()
	options := orttest.Options(t)
	for _, name := range []string{"small", "one_block", "long"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := exportGolden(t, name)
			model, err := retrieve.Open(g.model, options)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := model.Close(); err != nil {
					t.Error(err)
				}
			}()
			const k = 20
			ranked, err := model.TopK(t.Context(), g.histories(), k)
			if err != nil {
				t.Fatal(err)
			}
			for u, got := range ranked {
				g.check(t, u, got, k)
			}
		})
	}
}

// histories are the rows of items without their padding.
func (g *golden) histories() [][]int32 {
	all := make([][]int32, g.batch)
	for u := range all {
		for _, item := range g.items[u*g.length : (u+1)*g.length] {
			if item > 0 {
				all[u] = append(all[u], int32(item))
			}
		}
	}
	return all
}

func (g *golden) check(t *testing.T, u int, got retrieve.Ranked, k int) {
	t.Helper()
	const tolerance = 1e-4
	scores := slices.Clone(g.scores[u*(g.numItems+1) : (u+1)*(g.numItems+1)])
	scores[0] = float32(math.Inf(-1))
	for _, item := range g.items[u*g.length : (u+1)*g.length] {
		scores[item] = float32(math.Inf(-1))
	}
	order := make([]int32, len(scores))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortStableFunc(order, func(a, b int32) int {
		if scores[a] > scores[b] {
			return -1
		}
		return 1
	})
	if len(got.Items) != k {
		t.Fatalf("user %d: %d items, want %d", u, len(got.Items), k)
	}
	for i, item := range got.Items {
		want := order[i]
		if math.Abs(float64(got.Scores[i]-scores[want])) > tolerance {
			t.Errorf("user %d, place %d: score %v, want %v", u, i, got.Scores[i], scores[want])
		}
		if item != want && math.Abs(float64(scores[item]-scores[want])) > tolerance {
			t.Errorf("user %d, place %d: item %d, want %d", u, i, item, want)
		}
	}
}
