package lora

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"mllm4rec/export/llama"
	"mllm4rec/pipeline/train/torch"
)

// tinyModel is a model with random adapters in which a head of the whole vocabulary is learned.
func tinyModel(t *testing.T, answers int) *Model {
	t.Helper()
	c := llama.Config{VocabSize: 40, Hidden: 32, Layers: 2, Heads: 4, KVHeads: 2, HeadDim: 8, Intermediate: 48, NormEpsilon: 1e-5, RopeTheta: 1e4, TieEmbeddings: true}
	e := torch.NewEngine(2)
	t.Cleanup(func() { _ = e.Close() })
	m, err := NewModel(e, newRandomWeights(c), c, Settings{Rows: 200, Answers: answers, Targets: Targets, Rank: 4, Alpha: 8, Positions: 64})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	m.Initialise(3)
	for _, s := range m.sites {
		for i := range s.b {
			s.b[i] = float32(i%7-3) / 50
		}
	}
	return m
}

// learn is the loss and the gradients of one micro-batch.
func learn(t *testing.T, m *Model, samples ...Sample) (float64, []float32) {
	t.Helper()
	NewOptimiser(m).Begin()
	loss, err := m.Learn(t.Context(), samples, 1, Dropout{})
	if err != nil {
		t.Fatal(err)
	}
	return loss, slices.Clone(m.grads.Data)
}

func TestTwoAnswersOfOnePromptLearnLikeTwoPrompts(t *testing.T) {
	m := tinyModel(t, 6)
	prompts := randomPrompts(3, 30, 20, 40)
	var both, first, second []Sample
	for _, p := range prompts {
		both = append(both, Sample{Tokens: p, Answers: []int32{7, 2}})
		first = append(first, Sample{Tokens: p[:29], Answers: []int32{7}})
		second = append(second, Sample{Tokens: p, Answers: []int32{2}})
	}
	loss, grads := learn(t, m, both...)
	loss1, grads1 := learn(t, m, first...)
	loss2, grads2 := learn(t, m, second...)
	if math.Abs(loss-loss1-loss2) > 1e-4 {
		t.Errorf("loss %v, want %v + %v", loss, loss1, loss2)
	}
	for i := range grads1 {
		grads1[i] += grads2[i]
	}
	near(t, "gradients", grads, grads1, 1e-4)
}

func TestGradientsAddUpOverMicroBatches(t *testing.T) {
	m := tinyModel(t, 6)
	var samples []Sample
	for i, p := range randomPrompts(5, 25, 18, 40) {
		samples = append(samples, Sample{Tokens: p, Answers: []int32{int32(i)}, Choices: 9})
	}
	_, whole := learn(t, m, samples...)
	_, part := learn(t, m, samples[:2]...)
	if _, err := m.Learn(t.Context(), samples[2:], 1, Dropout{}); err != nil {
		t.Fatal(err)
	}
	near(t, "gradients", m.grads.Data, whole, 1e-4)
	if slices.Equal(part, m.grads.Data) {
		t.Error("the second micro-batch changed nothing")
	}
}

func TestASharedTargetIsTheMeanOfItsAnswers(t *testing.T) {
	m := tinyModel(t, 6)
	prompt := randomPrompts(1, 25, 0, 40)[0]
	lossBoth, both := learn(t, m, Sample{Tokens: prompt, Answers: []int32{3}, Choices: 9, Also: []int32{5, 8}})
	var loss float64
	mean := make([]float32, len(both))
	for _, answer := range []int32{3, 5, 8} {
		l, grads := learn(t, m, Sample{Tokens: prompt, Answers: []int32{answer}, Choices: 9})
		loss += l / 3
		for i, g := range grads {
			mean[i] += g / 3
		}
	}
	if math.Abs(loss-lossBoth) > 1e-5 {
		t.Errorf("loss %v, the mean of its answers' is %v", lossBoth, loss)
	}
	near(t, "gradients", both, mean, 1e-4)
}

func TestDropoutRepeatsByKey(t *testing.T) {
	m := tinyModel(t, 6)
	sample := []Sample{{Tokens: randomPrompts(1, 25, 0, 40)[0], Answers: []int32{3}}}
	loss := func(key uint64) float64 {
		l, err := m.Learn(t.Context(), sample, 1, Dropout{Rate: 0.5, Key: key})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	first := loss(1)
	if first != loss(1) || first == loss(2) {
		t.Error("the key does not decide what is dropped")
	}
}

func TestFitFillsMicroBatchesAndNeverTooMuch(t *testing.T) {
	m := tinyModel(t, 8)
	shared, apart := randomPrompts(20, 40, 20, 40), randomPrompts(20, 40, 10, 40)
	for name, c := range map[string]struct {
		prompts    [][]int32
		tail, want int
	}{
		"what all begin with counts once":  {shared, 1, 8},     // 20 + 8·20 = 180 of 200 rows, and no more than 8 answers
		"a short beginning is not shared":  {apart, 1, 5},      // 5·40
		"each reads two":                   {shared, 2, 4},     // 8 answers
		"the last ones":                    {shared[:3], 1, 3}, // all
		"one that is too long goes in too": {[][]int32{make([]int32, 300), {1}}, 1, 1},
	} {
		got := m.Fit(c.prompts, c.tail)
		if rows := len(pack(c.prompts[:got], c.tail).tokens); got != c.want || rows > 200 && got > 1 {
			t.Errorf("%s: %d prompts of %d rows, want %d", name, got, rows, c.want)
		}
	}
	if _, err := m.Score(t.Context(), [][]int32{make([]int32, 300)}); err == nil || !strings.Contains(err.Error(), "300 tokens") {
		t.Errorf("a prompt that does not fit: error %v", err)
	}
}

func TestAdaptersComeBackAsTheyWentOut(t *testing.T) {
	a, b := tinyModel(t, 2), tinyModel(t, 2)
	b.values.Zero()
	if err := b.Take(a.Adapter()); err != nil || !slices.Equal(a.values.Data, b.values.Data) {
		t.Errorf("adapters differ after a round trip, error %v", err)
	}
	other := a.Adapter()
	pair := other.Pairs["model.layers.0.self_attn.q_proj"]
	pair.Rank++
	other.Pairs["model.layers.0.self_attn.q_proj"] = pair
	if err := b.Take(other); err == nil || !strings.Contains(err.Error(), "model.layers.0.self_attn.q_proj is of rank 5") {
		t.Errorf("another rank: error %v", err)
	}
	more := a.Adapter()
	more.Pairs["model.layers.2.self_attn.q_proj"] = llama.Pair{}
	if err := b.Take(more); err == nil {
		t.Error("an adapter of more layers was taken")
	}
}

func TestTheOptimiserClipsAndLeavesWhatIsNoNumber(t *testing.T) {
	m := tinyModel(t, 2)
	o := NewOptimiser(m)
	step := func(gradient float32) float64 {
		o.Begin()
		m.grads.Data[0], m.grads.Data[1] = 3*gradient, 4*gradient
		return o.Step(torch.AdamW{Step: 1, LearningRate: 0.1, Epsilon: 1e-8}, 1)
	}
	before := slices.Clone(m.values.Data)
	if norm := step(float32(math.Inf(1))); !math.IsInf(norm, 1) && !math.IsNaN(norm) || !slices.Equal(m.values.Data, before) {
		t.Errorf("norm %v, or the adapters moved", norm)
	}
	if norm := step(2); math.Abs(norm-10) > 1e-5 || math.Abs(float64(o.first[0])-0.1*0.6) > 1e-6 {
		t.Errorf("norm %v, first moment %v: the gradient is not cut to 1", norm, o.first[0])
	}
}

// endsAfter is a context that ends when it was asked so often.
type endsAfter struct {
	context.Context
	left int
}

func (c *endsAfter) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// A worker that is told to stop has 30 seconds, and a layer of a large model takes one or two.
func TestAMicroBatchEndsBetweenTwoLayers(t *testing.T) {
	for name, device := range map[string]*torch.Device{"host": nil, "device": onCPU(false)} {
		m := newSmall(t, newRandomWeights(small()), small(), Settings{Head: []int32{5, 6, 7, 8}, Device: device})
		samples := []Sample{{Tokens: randomPrompts(1, 25, 0, 40)[0], Answers: []int32{3}}}
		for layers := range 2 * small().Layers {
			if _, err := m.Learn(&endsAfter{t.Context(), layers}, samples, 1, Dropout{}); !errors.Is(err, context.Canceled) {
				t.Errorf("%s: after %d layers: error %v", name, layers, err)
			}
		}
		if _, err := m.Learn(&endsAfter{t.Context(), 2 * small().Layers}, samples, 1, Dropout{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
