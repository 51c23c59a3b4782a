package lora

import (
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mllm4rec/export/llama"
	"mllm4rec/pipeline/train/torch"
)

// smol is SmolLM2-135M's shape.
func smol() llama.Config {
	return llama.Config{
		VocabSize: 49152, Hidden: 576, Layers: 30, Heads: 9, KVHeads: 3, HeadDim: 64, Intermediate: 1536, MaxPositions: 8192,
		NormEpsilon: 1e-5, RopeTheta: 1e5, TieEmbeddings: true,
	}
}

// randomWeights is a Source of any shape.
type randomWeights struct {
	config llama.Config
	random *rand.Rand
}

func (w randomWeights) Float32(name string) ([]float32, []int64, error) {
	c := w.config
	shape := []int64{int64(c.Hidden)}
	for part, dims := range map[string][]int64{
		"q_proj": {int64(c.Heads * c.HeadDim), int64(c.Hidden)}, "k_proj": {int64(c.KVHeads * c.HeadDim), int64(c.Hidden)},
		"v_proj": {int64(c.KVHeads * c.HeadDim), int64(c.Hidden)}, "o_proj": {int64(c.Hidden), int64(c.Heads * c.HeadDim)},
		"gate_proj": {int64(c.Intermediate), int64(c.Hidden)}, "up_proj": {int64(c.Intermediate), int64(c.Hidden)},
		"down_proj": {int64(c.Hidden), int64(c.Intermediate)}, "embed_tokens": {int64(c.VocabSize), int64(c.Hidden)},
	} {
		if containsPart(name, part) {
			shape = dims
		}
	}
	n := int64(1)
	for _, d := range shape {
		n *= d
	}
	return w.values(int(n)), shape, nil
}

func containsPart(name, part string) bool {
	for i := 0; i+len(part) <= len(name); i++ {
		if name[i:i+len(part)] == part {
			return true
		}
	}
	return false
}

func (w randomWeights) values(n int) []float32 {
	values := make([]float32, n)
	for i := range values {
		values[i] = (w.random.Float32() - 0.5) * 0.1
	}
	return values
}

func (w randomWeights) Rows(_ string, rows []int) ([]float32, error) {
	return w.values(len(rows) * w.config.Hidden), nil
}

func randomPrompts(n, length, prefix, vocabulary int) [][]int32 {
	r := rand.New(rand.NewPCG(1, 1))
	prompts := make([][]int32, n)
	for i := range prompts {
		for range length {
			prompts[i] = append(prompts[i], int32(r.IntN(vocabulary)))
		}
		copy(prompts[i], prompts[0][:prefix])
	}
	return prompts
}

// cpu is the time that all cores have spent on this process, in seconds.
func cpu() float64 {
	var usage unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

// BenchmarkStep is forward and backward of six prompts of 600 tokens, 116 of them the same, in SmolLM2-135M's shape.
func BenchmarkStep(b *testing.B) {
	e := torch.NewEngine(2)
	defer func() { _ = e.Close() }()
	c := smol()
	m, err := NewModel(e, randomWeights{c, rand.New(rand.NewPCG(1, 2))}, c, Settings{
		Rows: 4096, Answers: 8, Targets: []string{"q_proj", "v_proj"}, Rank: 8, Alpha: 32, Head: make([]int32, 20), Positions: 1536,
	})
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	prompts := randomPrompts(6, 600, 116, c.VocabSize)
	p := &pass{batch: pack(prompts, 1), rate: 0.05, key: 7}
	var forward, backward time.Duration
	used := cpu()
	for b.Loop() {
		start := time.Now()
		if err := m.forward(p); err != nil {
			b.Fatal(err)
		}
		middle := time.Now()
		labels, counts := make([]int32, 6), []int32{20, 20, 20, 20, 20, 20}
		letterLoss(m.logits, labels, counts, 1./6)
		if err := m.backward(p); err != nil {
			b.Fatal(err)
		}
		forward, backward = forward+middle.Sub(start), backward+time.Since(middle)
	}
	n := float64(b.N)
	b.ReportMetric(6*n/b.Elapsed().Seconds(), "samples/s")
	b.ReportMetric((cpu()-used)/(6*n), "cpu-s/sample")
	b.ReportMetric(forward.Seconds()/n, "s-forward")
	b.ReportMetric(backward.Seconds()/n, "s-backward")
}
