package lora

import (
	"encoding/binary"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"mllm4rec/export/llama"
	"mllm4rec/export/weights"
	"mllm4rec/internal/testkit"
	"mllm4rec/pipeline/train/torch"
)

// golden is one folder of tiny checkpoints: the base, a peft adapter, and what Hugging Face and peft compute with them.
type golden struct {
	dir     string
	base    *llama.Checkpoint
	adapter *llama.Adapter
	floats  map[string][]float32
	ints    map[string][]int64
	shape   map[string][]int64
}

var goldens = []string{"llama", "llama-tied-mha", "llama3-rope", "mistral", "qwen2", "qwen3"}

func sharedFolder(t *testing.T) string {
	t.Helper()
	testkit.Shared(t, "goldens", "llama")
	return testkit.Shared(t)
}

func openWeights(t *testing.T, path string) *weights.File {
	t.Helper()
	file, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return file
}

func readGolden(t *testing.T, name string) *golden {
	t.Helper()
	g := &golden{dir: filepath.Join(sharedFolder(t), "goldens", "llama", name), floats: map[string][]float32{}, ints: map[string][]int64{}, shape: map[string][]int64{}}
	base, err := llama.Open(g.dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = base.Close() })
	g.base = base
	if g.adapter, err = llama.ReadAdapter(filepath.Join(g.dir, "adapter")); err != nil {
		t.Fatal(err)
	}
	file := openWeights(t, filepath.Join(g.dir, "golden.safetensors"))
	for _, name := range file.Names() {
		tensor, err := file.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		g.shape[name] = tensor.Shape
		if tensor.DType != "I64" {
			g.floats[name], err = tensor.Float32()
			if err != nil {
				t.Fatal(err)
			}
			continue
		}
		for i := 0; i < len(tensor.Data); i += 8 {
			g.ints[name] = append(g.ints[name], int64(binary.LittleEndian.Uint64(tensor.Data[i:])))
		}
	}
	return g
}

// prompts are the golden's inputs without their padding.
func (g *golden) prompts() [][]int32 {
	length := int(g.shape["input_ids"][1])
	prompts := make([][]int32, g.shape["input_ids"][0])
	for i, token := range g.ints["input_ids"] {
		if g.ints["attention_mask"][i] == 1 {
			prompts[i/length] = append(prompts[i/length], int32(token))
		}
	}
	return prompts
}

// letters are the tokens that the verbalizer reads.
func (g *golden) letters() []int32 {
	var letters []int32
	for _, letter := range g.ints["letters"] {
		letters = append(letters, int32(letter))
	}
	return letters
}

// model is the golden's base with its adapter (zero where adapted is false).
func (g *golden) model(t *testing.T, head []int32, answers int, adapted bool) *Model {
	t.Helper()
	return g.modelOn(t, nil, head, answers, adapted)
}

func (g *golden) modelOn(t *testing.T, device *torch.Device, head []int32, answers int, adapted bool) *Model {
	t.Helper()
	e := torch.NewEngine(2)
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	m, err := NewModel(e, g.base, g.base.Config(), Settings{
		Rows: 80, Answers: answers, Targets: g.adapter.Targets(), Rank: g.adapter.Rank, Alpha: g.adapter.Alpha, Head: head, Positions: 64, Device: device,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	poison(m)
	if adapted {
		if err := m.Take(g.adapter); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// poison fills what promises to be overwritten before it is read.
func poison(m *Model) {
	for _, r := range []*room{&m.memory.activations, &m.memory.scratch} {
		for _, x := range r.matrices {
			for i := range x.Data {
				x.Data[i] = float32(math.NaN())
			}
		}
	}
}

func near(t *testing.T, what string, got, want []float32, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	worst, at := 0.0, 0
	for i := range got {
		if d := math.Abs(float64(got[i] - want[i])); !(d <= worst) {
			worst, at = d, i
		}
	}
	if !(worst <= tolerance) {
		t.Errorf("%s: value %d is %v, want %v (tolerance %v)", what, at, got[at], want[at], tolerance)
	}
}

func TestLogitsOfEveryPositionEqualHuggingFace(t *testing.T) {
	for _, name := range goldens {
		t.Run(name, func(t *testing.T) {
			g := readGolden(t, name)
			m := g.model(t, nil, 80, false)
			length := int(g.shape["input_ids"][1])
			for s, prompt := range g.prompts() {
				p := &pass{batch: pack([][]int32{prompt}, len(prompt))}
				if err := m.forward(t.Context(), p); err != nil {
					t.Fatal(err)
				}
				want := g.floats["logits"][((s+1)*length-len(prompt))*64 : (s+1)*length*64]
				near(t, fmt.Sprint("prompt ", s), m.logits.Data, want, 1e-4)
			}
		})
	}
}

func TestAdapterGradientsEqualPeft(t *testing.T) {
	for _, name := range goldens {
		for _, loss := range []string{"verbalizer", "vocab"} {
			t.Run(name+"/"+loss, func(t *testing.T) {
				g := readGolden(t, name)
				head := g.letters()
				if loss == "vocab" {
					head = nil
				}
				m := g.model(t, head, 3, true)
				checkGradients(t, g, m, loss)
			})
		}
	}
}

func checkGradients(t *testing.T, g *golden, m *Model, loss string) {
	logits, err := m.Score(t.Context(), g.prompts())
	if err != nil {
		t.Fatal(err)
	}
	var samples []Sample
	for i, prompt := range g.prompts() {
		answer, want := int32(g.ints["label"][i]), g.floats["adapter.logits_last"][i*64:(i+1)*64]
		if loss == "vocab" {
			answer = int32(g.ints["letters"][answer])
		} else {
			want = want[30:50]
		}
		near(t, "logits", logits[i], want, 1e-4)
		samples = append(samples, Sample{Tokens: prompt, Answers: []int32{answer}})
	}
	sum, err := m.Learn(t.Context(), samples, 1./3, Dropout{})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "loss", []float32{float32(sum / 3)}, g.floats["adapter.loss_"+loss], 1e-5)
	seen := 0
	for _, s := range m.sites {
		prefix := "adapter.grad_" + loss + "." + s.name
		near(t, prefix+" A", s.gradA, g.floats[prefix+".lora_A.weight"], 1e-5)
		near(t, prefix+" B", transposed(s.gradB, s.rank, s.out), g.floats[prefix+".lora_B.weight"], 1e-5)
		seen += 2
	}
	for name := range g.floats {
		if strings.HasPrefix(name, "adapter.grad_"+loss) {
			seen--
		}
	}
	if seen != 0 {
		t.Errorf("%d gradients more than the golden has", seen)
	}
}
