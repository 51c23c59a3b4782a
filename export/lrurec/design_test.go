package lrurec

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mllm4rec/export/onnx"
	"mllm4rec/export/weights"
	"mllm4rec/internal/testkit"
	"mllm4rec/runtime/ort"
	"mllm4rec/runtime/ort/orttest"
)

// carryByDoubling is the rival of carryByScan: log2(chunks) rounds over all chunks at once, whatever the length.
func carryByDoubling(g *onnx.Graph, w *block, turned onnx.Value, chunk, most int) onnx.Value {
	for step := 1; step < most; step *= 2 {
		decay := g.Float32(fmt.Sprintf("decay%d", step), []int64{int64(2 * len(w.lambda))}, w.decay(chunk*step))
		turned = g.Add(turned, g.Mul(shifted(g, turned, step), decay))
	}
	return shifted(g, turned, 1)
}

// shifted moves states [batch, chunks, width] to later chunks; zeros come in.
func shifted(g *onnx.Graph, states onnx.Value, step int) onnx.Value {
	return g.SliceBy(g.PadFront(states, 1, g.Ints(int64(step)), onnx.Dim{}), 1, g.Ints(0), g.SizeOf(chunks), chunks)
}

// random is a model with the published initialisation's ranges and random weights.
func random(t testing.TB, c config) golden {
	t.Helper()
	g := golden{config: c, dir: t.TempDir()}
	r := rand.New(rand.NewPCG(1, 2))
	var tensors []weights.Tensor
	add := func(name string, scale float32, shape ...int64) {
		n := int64(1)
		for _, d := range shape {
			n *= d
		}
		values := make([]float32, n)
		for i := range values {
			values[i] = scale * float32(r.NormFloat64())
		}
		tensors = append(tensors, weights.FromFloat32(name, shape, values))
	}
	d, channels := int64(c.Hidden), int64(c.LRUHidden)
	norm := func(name string) { add(name+".weight", 1, d); add(name+".bias", 0.1, d) }
	add("embedding.token.weight", 0.1, int64(c.NumItems)+1, d)
	norm("embedding.layer_norm")
	add("model.bias", 0.01, int64(c.NumItems)+1)
	for i := range c.Blocks {
		p := fmt.Sprintf("model.lru_blocks.%d.", i)
		add(p+"lru_layer.in_proj.weight", 0.1, channels, d, 2)
		add(p+"lru_layer.in_proj.bias", 0.1, channels, 2)
		add(p+"lru_layer.out_proj.weight", 0.1, d, channels, 2)
		add(p+"lru_layer.out_proj.bias", 0.1, d, 2)
		norm(p + "lru_layer.layer_norm")
		norm(p + "feed_forward.layer_norm")
		add(p+"feed_forward.w_1.weight", 0.1, 4*d, d)
		add(p+"feed_forward.w_1.bias", 0.1, 4*d)
		add(p+"feed_forward.w_2.weight", 0.1, d, 4*d)
		add(p+"feed_forward.w_2.bias", 0.1, d)
		logs := make([]float32, 3*channels)
		for c := range channels {
			logs[c], logs[channels+c], logs[2*channels+c] = float32(-1.5-3*r.Float64()), float32(1.8-4*r.Float64()), float32(-1-r.Float64())
		}
		logs[0], logs[1] = 6, -12 // λ of 0 and of 1, as training may make them
		logs[2*channels+1] = -5
		tensors = append(tensors, weights.FromFloat32(p+"lru_layer.params_log", []int64{3, channels}, logs))
	}
	g.write(t, tensors)
	return g
}

func TestCarriesAgree(t *testing.T) {
	t.Parallel()
	g := random(t, config{Architecture: architecture, NumItems: 100, Hidden: 16, LRUHidden: 32, Blocks: 3, MaxLength: 40})
	r := rand.New(rand.NewPCG(3, 4))
	for _, length := range []int{1, 4, 5, 17, 40} {
		items := histories(r, 3, length, 100)
		var first []float32
		for _, d := range designs() {
			_, scores := run(t, g.export(t, Options{Scores: true}, d.design), items, 3, length, 100, 0)
			if first == nil {
				first = scores
			}
			if worst := difference(first, scores); !(worst <= tolerance) {
				t.Errorf("%s differs by %v at length %d", d.name, worst, length)
			}
		}
	}
}

// histories are random items without padding, [batch, length].
func histories(r *rand.Rand, batch, length, numItems int) []int64 {
	items := make([]int64, batch*length)
	for i := range items {
		items[i] = 1 + r.Int64N(int64(numItems))
	}
	return items
}

type namedDesign struct {
	name string
	design
}

// designs are those that were compared. A chunk of 1 is the recurrence position by position.
func designs() []namedDesign {
	var all []namedDesign
	for _, chunk := range []int{1, 4, 8, 16} {
		all = append(all,
			namedDesign{fmt.Sprintf("chunk=%d/scan", chunk), design{chunk, carryByScan}},
			namedDesign{fmt.Sprintf("chunk=%d/doubling", chunk), design{chunk, carryByDoubling}})
	}
	return all
}

// BenchmarkDesigns measures one run, TopK of 20 included, over 12,101 items: d=64, 2 blocks, max_length 200.
func BenchmarkDesigns(b *testing.B) {
	g := random(b, config{Architecture: architecture, NumItems: 12101, Hidden: 64, LRUHidden: 128, Blocks: 2, MaxLength: 200})
	for _, d := range designs() {
		path := g.export(b, Options{}, d.design)
		for _, shape := range [][2]int{{1, 5}, {1, 50}, {1, 200}, {64, 8}, {64, 50}, {20, 200}} {
			for _, threads := range []int{1, 2} {
				b.Run(fmt.Sprintf("%s/batch=%d/length=%d/threads=%d", d.name, shape[0], shape[1], threads), func(b *testing.B) {
					measure(b, path, shape[0], shape[1], g.NumItems, threads)
				})
			}
		}
	}
}

// measure reports the median run of so many users: milliseconds on the clock, and of one core's time where one thread
// runs, which a machine that others use disturbs less.
func measure(b *testing.B, path string, batch, length, numItems, threads int) {
	o := orttest.Options(b)
	o.Threads = threads
	s := testkit.Must(ort.Open(path, o))(b)
	defer s.Close()
	const k = 20
	r := rand.New(rand.NewPCG(5, 6))
	in := testkit.Must(ort.NewTensor(histories(r, batch, length, numItems), int64(batch), int64(length)))(b)
	defer in.Close()
	count := testkit.Must(ort.NewTensor([]int64{k}, 1))(b)
	defer count.Close()
	ids := testkit.Must(ort.NewTensor(make([]int64, batch*k), int64(batch), k))(b)
	defer ids.Close()
	scores := testkit.Must(ort.NewTensor(make([]float32, batch*k), int64(batch), k))(b)
	defer scores.Close()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var wall, cpu []time.Duration
	for b.Loop() {
		start, used := time.Now(), threadTime(b)
		if err := s.Run(context.Background(), []ort.Value{in, count}, []ort.Value{ids, scores}); err != nil {
			b.Fatal(err)
		}
		wall, cpu = append(wall, time.Since(start)), append(cpu, threadTime(b)-used)
	}
	slices.Sort(wall)
	slices.Sort(cpu)
	b.ReportMetric(1000*wall[len(wall)/2].Seconds(), "p50-ms")
	if threads == 1 {
		b.ReportMetric(1000*cpu[len(cpu)/2].Seconds(), "cpu-ms")
		b.ReportMetric(float64(batch)/cpu[len(cpu)/2].Seconds(), "users/core-s")
	}
	b.ReportMetric(0, "ns/op")
}

// threadTime is what the calling thread has used of a core.
func threadTime(b *testing.B) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
}
