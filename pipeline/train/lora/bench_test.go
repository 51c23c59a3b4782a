package lora

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
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

// BenchmarkStep is forward and backward in SmolLM2-135M's shape. To see memory run one case alone: resident-MB is the most
// that the process had, plan-MB what the plan says of it.
func BenchmarkStep(b *testing.B) {
	mixed := randomPrompts(6, 600, 116, smol().VocabSize) // six prompts of 600 tokens, 116 of them the same
	plain := randomPrompts(2, 900, 0, smol().VocabSize)
	b.Run("6x600", func(b *testing.B) { benchmarkStep(b, mixed, Settings{}) })
	for _, precision := range Precisions {
		b.Run("2x900-"+precision, func(b *testing.B) { benchmarkStep(b, plain, Settings{Precision: precision}) })
	}
	b.Run("2x900-device", func(b *testing.B) { benchmarkStep(b, plain, Settings{Device: onCPU(false)}) })
	b.Run("2x900-device-nf4", func(b *testing.B) {
		benchmarkStep(b, plain, Settings{Precision: "nf4", Device: onCPU(true)})
	})
	b.Run("2x900-recomputed", func(b *testing.B) { benchmarkStep(b, plain, Settings{ActivationBytes: 200 << 20}) })
}

func benchmarkStep(b *testing.B, prompts [][]int32, settings Settings) {
	benchmarkStepOf(b, smol(), prompts, settings)
}

func benchmarkStepOf(b *testing.B, config llama.Config, prompts [][]int32, settings Settings) {
	e := torch.NewEngine(runtime.GOMAXPROCS(0))
	defer func() { _ = e.Close() }()
	p := &pass{batch: pack(prompts, 1), rate: 0.05, key: 7}
	samples := len(prompts)
	settings.Rows, settings.Answers, settings.Targets = len(p.batch.tokens), samples, []string{"q_proj", "v_proj"}
	settings.Rank, settings.Alpha, settings.Head, settings.Positions = 8, 32, make([]int32, 20), 1536
	m, err := NewModel(e, newRandomWeights(config), config, settings)
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	labels, counts := make([]int32, samples), slices.Repeat([]int32{20}, samples)
	var forward, backward time.Duration
	used := cpu()
	for b.Loop() {
		start := time.Now()
		if err := m.forward(b.Context(), p); err != nil {
			b.Fatal(err)
		}
		middle := time.Now()
		letterLoss(m.logits, labels, counts, 1/float64(samples))
		if err := m.backward(b.Context(), p); err != nil {
			b.Fatal(err)
		}
		forward, backward = forward+middle.Sub(start), backward+time.Since(middle)
	}
	n := float64(b.N)
	b.ReportMetric(float64(samples)*n/b.Elapsed().Seconds(), "samples/s")
	b.ReportMetric((cpu()-used)/(float64(samples)*n), "cpu-s/sample")
	b.ReportMetric(forward.Seconds()/n, "s-forward")
	b.ReportMetric(backward.Seconds()/n, "s-backward")
	b.ReportMetric(float64(mostResident())/1e6, "resident-MB")
	b.ReportMetric(float64(m.plan(e.Threads()).Total())/1e6, "plan-MB")
}

// mostResident is the most memory that this process has had, in bytes.
func mostResident() int64 {
	var usage unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &usage)
	return usage.Maxrss << 10
}

// BenchmarkLlama2 is a step of one prompt of 900 tokens in Llama-2-7B's shape, its base in NF4, with 3 GB for activations. It
// takes 8 GB and many minutes.
func BenchmarkLlama2(b *testing.B) {
	if os.Getenv("MLLM4REC_BENCH_7B") == "" {
		b.Skip("takes 8 GB and many minutes: set MLLM4REC_BENCH_7B=1")
	}
	prompts := randomPrompts(1, 900, 0, llama2().VocabSize)
	benchmarkStepOf(b, llama2(), prompts, Settings{Precision: "nf4", ActivationBytes: 3e9})
}

// BenchmarkLlama2Device is a step of one prompt of 1,536 tokens with a few of Llama-2-7B's layers, by the operations of a GPU:
// what a further layer takes, and what there is once (docs/memory.md). Each case alone shows its memory.
func BenchmarkLlama2Device(b *testing.B) {
	prompts := randomPrompts(1, 1536, 0, llama2().VocabSize)
	for _, layers := range []int{2, 4} {
		b.Run(fmt.Sprint(layers), func(b *testing.B) {
			config := llama2()
			config.Layers = layers
			benchmarkStepOf(b, config, prompts, Settings{Precision: "nf4", Device: onCPU(true)})
		})
	}
}

// BenchmarkAttention is one layer's, of three prompts of 600 tokens.
func BenchmarkAttention(b *testing.B) {
	h := heads{count: 9, kv: 3, dim: 64}
	w := pack(randomPrompts(3, 600, 0, 1000), 1).all
	rows, width := 1800, (h.count+2*h.kv)*h.dim
	random := newRandomWeights(smol())
	m := &torch.Matrix{Data: random.values("qkv", rows*width), Cols: width}
	q, k, v := columns(m, 0), columns(m, h.count*h.dim), columns(m, (h.count+h.kv)*h.dim)
	matrix := func(cols int) *torch.Matrix {
		return &torch.Matrix{Rows: rows, Cols: cols, Data: make([]float32, rows*cols)}
	}
	out, lse, grad := matrix(h.count*h.dim), make([]float32, rows*h.count), matrix(width)
	products := 2 * float64(h.count*h.dim) * 3 * 600 * 601 / 2 // of a square that is half empty
	b.Run("forward", func(b *testing.B) {
		e := torch.NewEngine(runtime.GOMAXPROCS(0)) // threads are this goroutine's
		defer func() { _ = e.Close() }()
		used := cpu()
		for b.Loop() {
			if err := attend(q, k, v, w, h, out, lse); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(2*products*float64(b.N)/(cpu()-used)/1e9, "GFLOP/cpu-s")
	})
	b.Run("backward", func(b *testing.B) {
		gradQ, gradK, gradV := columns(grad, 0), columns(grad, h.count*h.dim), columns(grad, (h.count+h.kv)*h.dim)
		e := torch.NewEngine(runtime.GOMAXPROCS(0)) // threads are this goroutine's
		defer func() { _ = e.Close() }()
		used := cpu()
		for b.Loop() {
			if err := attendBackward(q, k, v, w, h, out, lse, out, gradQ, gradK, gradV, rows); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(5*products*float64(b.N)/(cpu()-used)/1e9, "GFLOP/cpu-s")
	})
}
