package blip2

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"mllm4rec/export/matrix"
	"mllm4rec/export/weights"
	"mllm4rec/internal/testkit"
)

// TestOtherShapesEqualHuggingFace has Hugging Face make checkpoints of other shapes than the golden one (norms after
// attention, biases left out, several ends, shards, bfloat16) and compares all parts and the tokens that are generated.
func TestOtherShapesEqualHuggingFace(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("Hugging Face takes half a minute to make the checkpoints")
	}
	source := tiny(t)
	bin, err := exec.LookPath(cmp.Or(os.Getenv("MLLM4REC_PYTHON"), "python3"))
	if err != nil || exec.CommandContext(t.Context(), bin, "-c", "import torch, transformers, safetensors").Run() != nil {
		t.Skip("needs Python with torch, transformers and safetensors: set MLLM4REC_PYTHON to one that has them")
	}
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), bin, filepath.Join("testdata", "shapes.py"), source, dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, entry := range testkit.Must(os.ReadDir(dir))(t) {
		t.Run(entry.Name(), func(t *testing.T) { compareShape(t, filepath.Join(dir, entry.Name())) })
	}
}

func compareShape(t *testing.T, dir string) {
	ck := openTiny(t, dir)
	numbers := testkit.Must(weights.Open(filepath.Join(dir, "numbers.safetensors")))(t)
	defer numbers.Close()
	g := golden{t, numbers}
	m, pixels := exported(t, ck, matrix.FP32), g.floats("pixels")
	text := ck.Config().Text
	a := asked{prompt: []int32{text.BOS}, beams: 1, limit: 1, pad: int64(text.Pad)}
	for _, id := range text.EOS {
		a.ends = append(a.ends, int64(id))
	}
	got := m.run(t, pixels, a)
	for name, values := range map[string][]float32{"vision": got.vision, "qformer": got.qformer, "projection": got.projection, "logits": got.logits} {
		// Weights are larger than the golden checkpoint's, and so are the numbers: relative to the largest.
		want := g.floats(name)
		if d := apart(values, want) / float64(slices.Max(want)); !(d <= tolerance) {
			t.Errorf("%s differs by %v of the largest", name, d)
		}
	}
	ends := int64s(testkit.Must(numbers.Tensor("ends"))(t))
	same := func(name string, a asked) {
		t.Helper()
		tokens := m.run(t, pixels, a).tokens
		for i, want := range g.ids(name, 0) {
			// Hugging Face pads to the longest of the batch.
			if row := tokens[i]; !slices.Equal(row[:len(want)], want) || slices.ContainsFunc(row[len(want):], func(id int64) bool { return id != a.pad }) {
				t.Errorf("%s, picture %d: %v, want %v", name, i, row, want)
			}
		}
	}
	with := func(beams, limit int, ends []int64, prompt ...int32) asked {
		return asked{prompt: append([]int32{text.BOS}, prompt...), beams: beams, limit: limit, ends: ends, pad: a.pad}
	}
	same("greedy", with(1, 16, a.ends))
	same("prompted", with(1, 9, a.ends, 11, 30, 8, 50))
	for _, beams := range []int{2, 3, 5} {
		name := "beam" + string(rune('0'+beams))
		same(name, with(beams, 14, a.ends))
		same(name+" ends", with(beams, 14, ends))
	}
}
