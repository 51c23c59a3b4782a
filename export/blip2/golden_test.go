package blip2

import (
	"encoding/binary"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"mllm4rec/export/matrix"
	"mllm4rec/export/weights"
	"mllm4rec/internal/testkit"
	"mllm4rec/runtime/ort"
	"mllm4rec/runtime/ort/orttest"
)

// tiny is the folder of the checkpoint that the golden numbers are of.
func tiny(t testing.TB) string {
	t.Helper()
	return testkit.Shared(t, "goldens", "blip2", "tiny")
}

// golden is what Hugging Face computes.
type golden struct {
	t    testing.TB
	file *weights.File
}

func openGolden(t testing.TB) golden {
	t.Helper()
	file := testkit.Must(weights.Open(filepath.Join(tiny(t), "golden.safetensors")))(t)
	t.Cleanup(func() { _ = file.Close() })
	return golden{t, file}
}

func (g golden) floats(name string) []float32 {
	values, _, err := g.file.Float32(name)
	return testkit.Must(values, err)(g.t)
}

// ids are rows of tokens behind those of the picture and the prompt, of which there are skip.
func (g golden) ids(name string, skip int) [][]int64 {
	tensor := testkit.Must(g.file.Tensor(name))(g.t)
	var all [][]int64
	for row := range slices.Chunk(int64s(tensor), int(tensor.Shape[1])) {
		all = append(all, row[skip:])
	}
	return all
}

func int64s(tensor weights.Tensor) []int64 {
	var all []int64
	for raw := range slices.Chunk(tensor.Data, 8) {
		all = append(all, int64(binary.LittleEndian.Uint64(raw)))
	}
	return all
}

func openTiny(t testing.TB, dir string) *Checkpoint {
	t.Helper()
	ck := testkit.Must(Open(dir))(t)
	t.Cleanup(func() { _ = ck.Close() })
	return ck
}

// model is an exported captioner on ONNX Runtime.
type model struct {
	*ort.Session
	Config
}

func exported(t testing.TB, from source, precision matrix.Precision) model {
	t.Helper()
	path := filepath.Join(t.TempDir(), "captioner.onnx")
	if err := export(t.Context(), from, path, Options{Precision: precision}, true); err != nil {
		t.Fatal(err)
	}
	options := orttest.Options(t)
	options.Threads, options.Kind = 1, "captioner"
	session := testkit.Must(ort.Open(path, options))(t)
	t.Cleanup(func() { _ = session.Close() })
	return model{session, from.Config()}
}

// asked is what a run is asked for.
type asked struct {
	prompt       []int32
	beams, limit int
	ends         []int64
	pad          int64
}

// given is what the parts give.
type given struct {
	tokens                              [][]int64
	vision, qformer, projection, logits []float32
}

func (m model) run(t testing.TB, pixels []float32, a asked) given {
	t.Helper()
	size := m.Vision.ImageSize
	n := len(pixels) / (3 * size * size)
	var out given
	out.vision = make([]float32, n*m.Vision.positions()*m.Vision.Hidden)
	out.qformer = make([]float32, n*m.Queries*m.QFormer.Hidden)
	out.projection = make([]float32, n*m.Queries*m.Text.Hidden)
	out.logits = make([]float32, n*m.Text.VocabSize)
	tokens := make([]int64, n*a.limit)
	in := []ort.Value{
		lent(t, pixels, n, 3, size, size), lent(t, a.prompt, len(a.prompt)),
		lent(t, slices.Repeat([]int64{a.pad}, n*a.beams*a.limit), n, a.beams, a.limit), lent(t, a.ends, len(a.ends)),
	}
	if a.beams > 1 && a.limit > 1 {
		out.logits = make([]float32, n*a.beams*m.Text.VocabSize)
	}
	err := m.Run(t.Context(), in, []ort.Value{
		lent(t, tokens, n, a.limit), lent(t, out.vision, n, m.Vision.positions(), m.Vision.Hidden),
		lent(t, out.qformer, n, m.Queries, m.QFormer.Hidden), lent(t, out.projection, n, m.Queries, m.Text.Hidden),
		lent(t, out.logits, len(out.logits)/m.Text.VocabSize, m.Text.VocabSize),
	})
	if err != nil {
		t.Fatal(err)
	}
	for row := range n {
		out.tokens = append(out.tokens, tokens[row*a.limit:(row+1)*a.limit])
	}
	return out
}

func lent[T ort.Element](t testing.TB, data []T, shape ...int) ort.Value {
	t.Helper()
	dims := make([]int64, len(shape))
	for i, d := range shape {
		dims[i] = int64(d)
	}
	v := testkit.Must(ort.NewTensor(data, dims...))(t)
	t.Cleanup(v.Close)
	return v
}

// apart is the largest difference.
func apart(got, want []float32) float64 {
	largest := math.Inf(1)
	if len(got) == len(want) {
		largest = 0
	}
	for i := range min(len(got), len(want)) {
		if d := math.Abs(float64(got[i]) - float64(want[i])); !(d <= largest) {
			largest = d
		}
	}
	return largest
}

// tolerance of float32, which Hugging Face's code computes in another order; 1e-6 was seen.
const tolerance = 1e-5

func TestPartsEqualHuggingFace(t *testing.T) {
	t.Parallel()
	g := openGolden(t)
	m := exported(t, openTiny(t, tiny(t)), matrix.FP32)
	got := m.run(t, g.floats("pixel_values"), asked{prompt: []int32{2}, beams: 1, limit: 1, ends: []int64{2}, pad: 1})
	for _, part := range []struct {
		name      string
		got, want []float32
	}{
		{"vision", got.vision, g.floats("vision.last_hidden_state")},
		{"Q-Former", got.qformer, g.floats("qformer.last_hidden_state")},
		{"projection", got.projection, g.floats("language_projection")},
		{"first logits", got.logits, g.floats("first_logits")},
	} {
		d := apart(part.got, part.want)
		t.Logf("%s: largest difference %.2g", part.name, d)
		if !(d <= tolerance) {
			t.Errorf("%s differs by %v", part.name, d)
		}
	}
}

func TestTokensEqualHuggingFace(t *testing.T) {
	t.Parallel()
	g := openGolden(t)
	pixels := g.floats("pixel_values")
	m := exported(t, openTiny(t, tiny(t)), matrix.FP32)
	for _, c := range []struct {
		name string
		skip int
		asked
	}{
		{"greedy_ids", 9, asked{[]int32{2}, 1, 12, []int64{2}, 1}},
		{"greedy_ids_eos56_pad1", 9, asked{[]int32{2}, 1, 12, []int64{56}, 1}},
		{"prompted_greedy_ids", 12, asked{[]int32{2, 5, 6, 7}, 1, 8, []int64{2}, 1}},
		{"beam3_ids", 9, asked{[]int32{2}, 3, 12, []int64{2}, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := m.run(t, pixels, c.asked).tokens
			for row, want := range g.ids(c.name, c.skip) {
				if !slices.Equal(got[row], want) {
					t.Errorf("picture %d: %v, want %v", row, got[row], want)
				}
				size := len(pixels) / 5
				if alone := m.run(t, pixels[row*size:(row+1)*size], c.asked).tokens[0]; !slices.Equal(alone, want) {
					t.Errorf("picture %s alone: %v, want %v", strconv.Itoa(row), alone, want)
				}
			}
		})
	}
}
