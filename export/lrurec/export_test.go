package lrurec

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"mllm4rec/export/weights"
	"mllm4rec/internal/fail"
	"mllm4rec/internal/testkit"
)

// little is a small random model.
func little(t testing.TB) golden {
	return random(t, config{Architecture: architecture, NumItems: 60, Hidden: 8, LRUHidden: 16, Blocks: 2, MaxLength: 20})
}

func (g golden) exported(t testing.TB, o Options) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "retriever.onnx")
	if err := Export(t.Context(), g.weights(), g.json(), out, o); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestPaddingAndCompanyChangeNothing(t *testing.T) {
	t.Parallel()
	g := little(t)
	path := g.exported(t, Options{Scores: true})
	r := rand.New(rand.NewPCG(7, 8))
	history := histories(r, 1, 11, g.NumItems)
	_, alone := run(t, path, history, 1, 11, g.NumItems, 0)
	for _, length := range []int{12, 16, 17, 20} {
		padded := append(make([]int64, length-11), history...)
		items := append(histories(r, 2, length, g.NumItems), padded...)
		_, scores := run(t, path, items, 3, length, g.NumItems, 0)
		if d := difference(scores[2*(g.NumItems+1):], alone); !(d <= 1e-5) {
			t.Errorf("padded to %d, scores differ by %v", length, d)
		}
	}
}

func TestOnlyTheNewestItemsCountAndAllAreMasked(t *testing.T) {
	t.Parallel()
	g := little(t)
	path := g.exported(t, Options{Scores: true})
	long := histories(rand.New(rand.NewPCG(9, 10)), 1, 33, g.NumItems)
	_, got := run(t, path, long, 1, 33, g.NumItems, 0)
	_, want := run(t, path, long[33-g.MaxLength:], 1, g.MaxLength, g.NumItems, 0)
	for _, item := range long {
		want[item] = float32(math.Inf(-1))
	}
	if d := difference(got, want); !(d <= 1e-6) || got[0] != want[0] {
		t.Errorf("scores differ by %v", d)
	}
}

func TestEmptyHistoryHasFiniteScores(t *testing.T) {
	t.Parallel()
	g := little(t)
	_, scores := run(t, g.exported(t, Options{Scores: true}), make([]int64, 5), 1, 5, g.NumItems, 0)
	for item, score := range scores {
		if finite := !notFinite(score); finite != (item > 0) {
			t.Errorf("item %d scores %v", item, score)
		}
	}
}

func TestMoreThanThereAreComesWithMinusInfinity(t *testing.T) {
	t.Parallel()
	g := little(t)
	ids, scores := run(t, g.exported(t, Options{}), []int64{5, 9, 5}, 1, 3, g.NumItems, g.NumItems)
	for i, score := range scores {
		if left := i < g.NumItems-2; left == notFinite(score) {
			t.Errorf("place %d: item %d scores %v", i, ids[i], score)
		}
	}
}

func TestMetadataTellsTheRuntime(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(little(t).exported(t, Options{}))
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"format", "kind", "architecture", "num_items", "max_length", "chunk"} {
		if !bytes.Contains(text, []byte("mllm4rec."+key)) {
			t.Errorf("no mllm4rec.%s", key)
		}
	}
}

func TestWhatDoesNotFitIsRefused(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, want string
		change     func(g *golden)
	}{
		{"another catalogue", `tensor "embedding.token.weight" has shape [61 8] where `, func(g *golden) { g.NumItems = 70 }},
		{"another width", "asks for [61 16]", func(g *golden) { g.Hidden = 16 }},
		{"another recurrence", "params_log\" has shape [3 16]", func(g *golden) { g.LRUHidden = 32 }},
		{"more blocks", `holds no tensor "model.lru_blocks.2.lru_layer.params_log"`, func(g *golden) { g.Blocks = 3 }},
		{"another architecture", `architecture is "sasrec"`, func(g *golden) { g.Architecture = "sasrec" }},
		{"no length", "max_length is 0", func(g *golden) { g.MaxLength = 0 }},
		{"endless catalogue", "num_items is 4611686018427387904", func(g *golden) { g.NumItems = 1 << 62 }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := little(t)
			c.change(&g)
			g.writeConfig(t)
			g.refused(t, c.want)
		})
	}
}

func (g golden) refused(t *testing.T, want string) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "retriever.onnx")
	err := Export(t.Context(), g.weights(), g.json(), out, Options{})
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v; want %q", err, want)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a model was left")
	}
}

func TestBrokenInputIsRefused(t *testing.T) {
	t.Parallel()
	t.Run("no JSON", func(t *testing.T) {
		t.Parallel()
		g := little(t)
		if err := os.WriteFile(g.json(), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		g.refused(t, "retriever.json: unexpected end")
	})
	t.Run("no files", func(t *testing.T) {
		t.Parallel()
		err := Export(t.Context(), "gone.safetensors", "gone.json", "x.onnx", Options{})
		if !fail.IsUsage(err) {
			t.Errorf("%v; want a usage error", err)
		}
	})
	for name, want := range map[string]string{
		"embedding.token.weight":                       "the embedding of item 3 holds NaN",
		"model.lru_blocks.0.feed_forward.w_1.weight":   "w_1.weight\": element 24 is NaN",
		"model.lru_blocks.1.lru_layer.out_proj.weight": "out_proj.weight\": element 24 is NaN",
	} {
		t.Run("NaN in "+name, func(t *testing.T) {
			t.Parallel()
			g := little(t)
			g.change(t, name, func(values []float32) { values[24] = float32(math.NaN()) })
			g.refused(t, want)
		})
	}
	t.Run("endless angle", func(t *testing.T) {
		t.Parallel()
		g := little(t)
		g.change(t, "model.lru_blocks.0.lru_layer.params_log", func(logs []float32) { logs[16+3] = 1000 })
		g.refused(t, "channel 3 is out of range")
	})
}

// change rewrites one tensor of the model.
func (g golden) change(t *testing.T, name string, change func([]float32)) {
	t.Helper()
	f := testkit.Must(weights.Open(g.weights()))(t)
	var tensors []weights.Tensor
	for _, n := range f.Names() {
		tensor := testkit.Must(f.Tensor(n))(t)
		if n == name {
			values := testkit.Must(tensor.Float32())(t)
			change(values)
			tensor = weights.FromFloat32(n, tensor.Shape, values)
		}
		tensors = append(tensors, tensor)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	g.write(t, tensors)
}

// TestMemoryDoesNotGrowWithTheCatalogue counts all that an export allocates. It runs alone.
func TestMemoryDoesNotGrowWithTheCatalogue(t *testing.T) {
	const items = 200_000
	g := random(t, config{Architecture: architecture, NumItems: items, Hidden: 64, LRUHidden: 16, Blocks: 1, MaxLength: 20})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	g.exported(t, Options{})
	runtime.ReadMemStats(&after)
	table := uint64(items * 64 * 4)
	if used := after.TotalAlloc - before.TotalAlloc; used > table/2 {
		t.Errorf("the export of a table of %d bytes allocated %d", table, used)
	}
}

// BenchmarkExport exports items × 64 and tells the time and how much memory it took; the larger catalogue has its
// weights in a file of their own.
func BenchmarkExport(b *testing.B) {
	for _, items := range []int{1_000_000, 2_500_000} {
		b.Run(fmt.Sprintf("items=%d", items), func(b *testing.B) {
			benchmarkExport(b, items)
		})
	}
}

func benchmarkExport(b *testing.B, items int) {
	g := random(b, config{Architecture: architecture, NumItems: items, Hidden: 64, LRUHidden: 128, Blocks: 2, MaxLength: 200})
	debug.FreeOSMemory()
	before := testkit.Status(b, "VmRSS") >> 10
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // VmHWM begins anew
	out := filepath.Join(g.dir, "retriever.onnx")
	start, n := time.Now(), 0
	for b.Loop() {
		if err := Export(b.Context(), g.weights(), g.json(), out, Options{}); err != nil {
			b.Fatal(err)
		}
		n++
	}
	b.ReportMetric(time.Since(start).Seconds()/float64(n), "s/export")
	b.ReportMetric(float64(testkit.Status(b, "VmHWM")>>10-before)/1024, "peak-MiB")
	b.ReportMetric(float64(testkit.Must(os.Stat(out))(b).Size())/(1<<20), "model-MiB")
	if data, err := os.Stat(out + ".data"); err == nil {
		b.ReportMetric(float64(data.Size())/(1<<20), "data-MiB")
	}
	b.ReportMetric(0, "ns/op")
}
