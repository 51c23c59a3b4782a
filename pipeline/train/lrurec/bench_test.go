package lrurec

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"mllm4rec/pipeline/train/loop"
	"mllm4rec/pipeline/train/torch"
	"mllm4rec/pipeline/worker"
)

// setting is a training step of the size of real data.
type setting struct {
	name                     string
	items, sequences, length int // length of each sequence
}

// settings have the mean lengths of ml-latest-small (windows of 200) and Beauty.
func settings() []setting {
	return []setting{{"ml-latest-small", 3650, 16, 105}, {"beauty", 12101, 64, 6}}
}

func (s setting) batch() Batch {
	b := Batch{Starts: []int32{0}}
	x := uint32(1)
	for range s.sequences {
		for range s.length {
			x = x*1664525 + 1013904223
			b.Items = append(b.Items, int32(1+x>>8%uint32(s.items)))
			b.Labels = append(b.Labels, int32(1+x>>9%uint32(s.items)))
		}
		b.Starts = append(b.Starts, int32(len(b.Items)))
	}
	return b
}

// cpuTime is what this thread has computed so far: on a busy machine the clock on the wall says little.
func cpuTime(b *testing.B) int64 {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &usage); err != nil {
		b.Fatal(err)
	}
	return usage.Utime.Nano() + usage.Stime.Nano()
}

// BenchmarkStep times the parts of a training step, full softmax, one thread.
func BenchmarkStep(b *testing.B) {
	for _, s := range settings() {
		for _, part := range []string{"all", "forward", "loss", "backward", "optimise"} {
			b.Run(s.name+"/"+part, func(b *testing.B) { benchmarkPart(b, s, part) })
		}
	}
}

func benchmarkPart(b *testing.B, s setting, part string) {
	batch := s.batch()
	e := torch.NewEngine(1)
	m := NewModel(e, Shape{Items: s.items, Hidden: 64, Channels: 128, Blocks: 2}, len(batch.Items))
	m.Initialise(1, 0.8, 0.99)
	h, moments := newHead(m, worker.DefaultRetriever(), nil, len(batch.Items)), newMoments(m, false)
	drop, step := m.drops(0.2, 0.2, 1), torch.AdamW{Step: 1, LearningRate: 1e-3, Epsilon: 1e-9, Decay: 0.01}
	run := map[string]func(){
		"all":      func() { _, _, _ = m.update(h, batch, drop, 1, moments, 5, step) },
		"forward":  func() { m.forward(batch, drop) },
		"loss":     func() { h.step(m.blocks[1].output, batch, 1) },
		"backward": func() { m.backward(batch, drop) },
		"optimise": func() { m.optimise(h, step, moments, 5) },
	}
	run["all"]()
	before := cpuTime(b)
	for b.Loop() {
		run[part]()
	}
	b.ReportMetric(float64(cpuTime(b)-before)/1e6/float64(b.N), "cpu-ms/op")
	m.Close()
	if err := e.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkSampledStep shows that a step with 256 negatives, 32 sequences of 200, one thread, does not depend on the
// catalogue, and what memory a catalogue needs.
func BenchmarkSampledStep(b *testing.B) {
	for _, items := range []int{100_000, 1_000_000} {
		b.Run(fmt.Sprintf("items=%d", items), func(b *testing.B) {
			batch := setting{items: items, sequences: 32, length: 200}.batch()
			e := torch.NewEngine(1)
			m := NewModel(e, Shape{Items: items, Hidden: 64, Channels: 128, Blocks: 2}, len(batch.Items))
			m.Initialise(1, 0.8, 0.99)
			spec := worker.DefaultRetriever()
			spec.Loss = "sampled_softmax"
			h, moments := newHead(m, spec, make([]int64, items+1), len(batch.Items)), newMoments(m, true)
			step, before := 0, cpuTime(b)
			for b.Loop() {
				step++
				o := torch.AdamW{Step: step, LearningRate: 1e-3, Epsilon: 1e-9, Decay: 0.01}
				if _, _, err := m.update(h, batch, m.drops(0.2, 0.2, uint64(step)), uint64(step), moments, 5, o); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(cpuTime(b)-before)/1e6/float64(b.N), "cpu-ms/op")
			b.ReportMetric(float64(loop.PeakBytes()>>20), "peak-MB")
			m.Close()
			if err := e.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
