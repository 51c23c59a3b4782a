package lora

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"mllm4rec/export/llama"
	"mllm4rec/pipeline/train/torch"
)

// rounded is a Source whose linear layers have been through a precision.
type rounded struct {
	Source
	precision string
}

func (r rounded) Float32(name string) ([]float32, []int64, error) {
	values, shape, err := r.Source.Float32(name)
	if err == nil && strings.Contains(name, "proj.weight") {
		_, values = packing(r.precision, values)
	}
	return values, shape, err
}

// small is a model of many switches and odd sizes: rows that are no whole blocks, a window, norms of heads, biases.
func small() llama.Config {
	return llama.Config{
		Architecture: "qwen3", VocabSize: 300, Hidden: 72, Layers: 5, Heads: 6, KVHeads: 2, HeadDim: 20, Intermediate: 136,
		NormEpsilon: 1e-5, RopeTheta: 10000, QKVBias: true, QKNorm: true, SlidingWindow: 40,
	}
}

func newSmall(t *testing.T, source Source, config llama.Config, settings Settings) *Model {
	t.Helper()
	e := torch.NewEngine(2)
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	settings.Rows, settings.Answers, settings.Positions, settings.Rank, settings.Alpha = 160, 8, 64, 4, 8
	settings.Targets = Targets
	m, err := NewModel(e, source, config, settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	random := rand.New(rand.NewPCG(3, 3))
	for i := range m.values.Data {
		m.values.Data[i] = float32(random.NormFloat64()) * 0.05
	}
	return m
}

// gradients are the logits and adapters' gradients of a step with dropout.
func gradients(t *testing.T, m *Model) (logits, grads []float32) {
	t.Helper()
	m.grads.Zero()
	p := &pass{batch: pack(randomPrompts(3, 50, 20, m.config.VocabSize), 1), rate: 0.1, key: 11}
	if err := m.forward(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	logits = slices.Clone(m.logits.Data)
	letterLoss(m.logits, []int32{1, 0, 2}, []int32{4, 4, 4}, 1./3)
	if err := m.backward(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	return logits, slices.Clone(m.grads.Data)
}

// The base in fewer bits must be no other model than the one with the rounded weights.
func TestGradientsOverCompressedBaseEqualThoseOverItsRoundedWeights(t *testing.T) {
	for _, precision := range Precisions[1:] {
		t.Run(precision, func(t *testing.T) {
			source := newRandomWeights(small())
			head := []int32{5, 6, 7, 8}
			logits, grads := gradients(t, newSmall(t, source, small(), Settings{Head: head, Precision: precision}))
			wantLogits, wantGrads := gradients(t, newSmall(t, rounded{source, precision}, small(), Settings{Head: head}))
			relative(t, "logits", logits, wantLogits, 1e-5)
			relative(t, "gradients", grads, wantGrads, 1e-5)
			_, exact := gradients(t, newSmall(t, source, small(), Settings{Head: head}))
			if slices.Equal(grads, exact) {
				t.Error("nothing was rounded")
			}
		})
	}
}

func TestGoldenGradientsSurviveCompression(t *testing.T) {
	for _, name := range goldens {
		for _, precision := range Precisions[1:] {
			t.Run(fmt.Sprint(name, "/", precision), func(t *testing.T) {
				g := readGolden(t, name)
				settings := Settings{Rows: 80, Answers: 3, Targets: Targets, Rank: 8, Alpha: 32, Head: g.letters(), Positions: 64}
				step := func(source Source, precision string) []float32 {
					settings.Precision = precision
					e := torch.NewEngine(2)
					defer func() { _ = e.Close() }()
					m, err := NewModel(e, source, g.base.Config(), settings)
					if err != nil {
						t.Fatal(err)
					}
					defer m.Close()
					random := rand.New(rand.NewPCG(3, 3))
					for i := range m.values.Data {
						m.values.Data[i] = float32(random.NormFloat64()) * 0.05
					}
					p := &pass{batch: pack(g.prompts(), 1)}
					if err := m.forward(t.Context(), p); err != nil {
						t.Fatal(err)
					}
					letterLoss(m.logits, []int32{0, 1, 2}, []int32{20, 20, 20}, 1./3)
					if err := m.backward(t.Context(), p); err != nil {
						t.Fatal(err)
					}
					return slices.Clone(m.grads.Data)
				}
				relative(t, "gradients", step(g.base, precision), step(rounded{g.base, precision}, "fp32"), 1e-5)
			})
		}
	}
}

// relative compares with the largest value as the measure.
func relative(t *testing.T, what string, got, want []float32, tolerance float64) {
	t.Helper()
	high := 0.0
	for _, x := range want {
		high = max(high, math.Abs(float64(x)))
	}
	if high == 0 {
		t.Fatalf("%s: all zero", what)
	}
	near(t, what, got, want, tolerance*high)
}

func TestWholeVocabularyIsNeverBelow16Bits(t *testing.T) {
	source := newRandomWeights(small())
	logits, _ := gradients(t, newSmall(t, rounded{source, "nf4"}, small(), Settings{}))
	got, _ := gradients(t, newSmall(t, source, small(), Settings{Precision: "nf4"}))
	relative(t, "logits", got, logits, 0.01) // a bf16 head is off by 1/256 at most
	if slices.Equal(got, logits) {
		t.Error("the head was held in fp32")
	}
}

func TestUnknownPrecisionNamesTheOnesThatAre(t *testing.T) {
	_, err := NewPlan(small(), Settings{Targets: Targets, Rank: 4, Precision: "int3"}, 2)
	if err == nil || !strings.Contains(err.Error(), `"int3"`) || !strings.Contains(err.Error(), "nf4") {
		t.Errorf("error %v", err)
	}
}

func TestTensorOfAnotherShapeIsNamed(t *testing.T) {
	wrong := small()
	wrong.Intermediate++
	e := torch.NewEngine(1)
	_, err := NewModel(e, newRandomWeights(wrong), small(), Settings{Rows: 8, Answers: 1, Targets: Targets, Rank: 4, Positions: 8, Precision: "nf4"})
	if err == nil || !strings.Contains(err.Error(), "model.layers.0.mlp.gate_proj.weight is [137 72], the model needs [136 72]") {
		t.Errorf("error %v", err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}
