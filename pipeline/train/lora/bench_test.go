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
	m, err := NewModel(e, newRandomWeights(c), c, Settings{
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
