package llama

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"mllm4rec/internal/testkit"
	"mllm4rec/runtime/ort"
	"mllm4rec/runtime/ort/orttest"
)

// tolerance of letter logits in float32, which Hugging Face's code computes in another order.
const tolerance = 1e-4

// model is an exported ranker on ONNX Runtime.
type model struct {
	*ort.Session
	layers, kvHeads, headSize, letters int
}

// kept is keys and values of each layer, [rows, kv heads, length, head size].
type kept struct {
	length int
	tensor [][]float32
}

// exported writes a ranker and opens it until the test ends.
func exported(t testing.TB, from source, adapter *Adapter, o Options) model {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ranker.onnx")
	if err := export(t.Context(), from, adapter, path, o); err != nil {
		t.Fatal(err)
	}
	return opened(t, path, from.Config(), len(o.Letters))
}

func opened(t testing.TB, path string, c Config, letters int) model {
	t.Helper()
	options := orttest.Options(t)
	options.Threads, options.Kind = 1, "ranker"
	session := testkit.Must(ort.Open(path, options))(t)
	t.Cleanup(func() {
		if err := session.Close(); err != nil {
			t.Error(err)
		}
	})
	return model{session, c.Layers, c.KVHeads, c.HeadDim, letters}
}

// run feeds rows, padded on the right, behind a past; nil is an empty one.
func (m model) run(t testing.TB, before *kept, rows ...[]int32) (scores [][]float32, all *kept) {
	t.Helper()
	if before == nil {
		before = &kept{tensor: make([][]float32, 2*m.layers)}
	}
	longest := 0
	for _, row := range rows {
		longest = max(longest, len(row))
	}
	tokens, lengths, flat := make([]int32, len(rows)*longest), make([]int64, len(rows)), make([]float32, len(rows)*m.letters)
	for i, row := range rows {
		copy(tokens[i*longest:], row)
		lengths[i] = int64(len(row))
	}
	n, total := len(rows), before.length+longest
	in := []ort.Value{lent(t, tokens, n, longest), lent(t, lengths, n)}
	out := []ort.Value{lent(t, flat, n, m.letters)}
	all = &kept{length: total}
	for i := range 2 * m.layers {
		present := make([]float32, n*m.kvHeads*total*m.headSize)
		all.tensor = append(all.tensor, present)
		in = append(in, lent(t, before.tensor[i], n, m.kvHeads, before.length, m.headSize))
		out = append(out, lent(t, present, n, m.kvHeads, total, m.headSize))
	}
	if err := m.Run(t.Context(), in, out); err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		scores = append(scores, flat[i*m.letters:(i+1)*m.letters])
	}
	return scores, all
}

func lent[T ort.Element](t testing.TB, data []T, shape ...int) ort.Value {
	t.Helper()
	dims := make([]int64, len(shape))
	for i, d := range shape {
		dims[i] = int64(d)
	}
	v := testkit.Must(ort.NewTensor(data, dims...))(t)
	t.Cleanup(v.Close)
	return v
}

// of picks the letters' logits out of those of the vocabulary.
func (g golden) of(logits []float32) []float32 {
	var some []float32
	for _, letter := range g.letters {
		some = append(some, logits[letter])
	}
	return some
}

// wanted is what the golden's prompts must score.
func (g golden) wanted(adapter *Adapter) [][]float32 {
	all := g.bare
	if adapter != nil {
		all = g.adapted
	}
	var want [][]float32
	for _, logits := range all {
		want = append(want, g.of(logits))
	}
	return want
}

// apart is the largest difference.
func apart(got, want []float32) float64 {
	largest := 0.0
	for i := range want {
		if d := math.Abs(float64(got[i]) - float64(want[i])); !(d <= largest) {
			largest = d
		}
	}
	return largest
}

func near(t testing.TB, what string, got, want []float32, within float64) {
	t.Helper()
	if d := apart(got, want); len(got) != len(want) || !(d <= within) {
		t.Errorf("%s: scores differ by %v:\n%v\n%v", what, d, got, want)
	}
}

// everyGolden runs a test for each golden with and without its adapter.
func everyGolden(t *testing.T, what string, test func(t *testing.T, g golden, adapter *Adapter)) {
	for _, name := range goldens {
		for _, adapted := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s %s, adapter %v", what, name, adapted), func(t *testing.T) {
				t.Parallel()
				g := openGolden(t, name)
				if adapted {
					test(t, g, g.adapter)
				} else {
					test(t, g, nil)
				}
			})
		}
	}
}

func TestScoresEqualHuggingFace(t *testing.T) {
	t.Parallel()
	everyGolden(t, "fp32", func(t *testing.T, g golden, adapter *Adapter) {
		m := exported(t, g.ck, adapter, Options{Precision: FP32, Letters: g.letters})
		want := g.wanted(adapter)
		together, _ := m.run(t, nil, g.prompts...)
		for i, prompt := range g.prompts {
			alone, _ := m.run(t, nil, prompt)
			near(t, fmt.Sprintf("prompt %d of %d tokens alone", i, len(prompt)), alone[0], want[i], tolerance)
			near(t, fmt.Sprintf("prompt %d among others", i), together[i], want[i], tolerance)
		}
	})
}

// TestLowerPrecisionsAreNear runs the other precisions. Numbers of the tiny models, which are random and small, lose more
// to rounding than those of real ones: bounds are about twice what was seen.
func TestLowerPrecisionsAreNear(t *testing.T) {
	t.Parallel()
	for precision, within := range map[Precision]float64{FP16: 5e-3, INT8: 0.04, INT4: 0.35} {
		everyGolden(t, string(precision), func(t *testing.T, g golden, adapter *Adapter) {
			m := exported(t, g.ck, adapter, Options{Precision: precision, Letters: g.letters})
			worst := 0.0
			together, _ := m.run(t, nil, g.prompts...)
			for i, prompt := range g.prompts {
				want := g.wanted(adapter)[i]
				_, before := m.run(t, nil, prompt[:len(prompt)/2])
				got, _ := m.run(t, before, prompt[len(prompt)/2:])
				near(t, fmt.Sprintf("prompt %d cut in two", i), got[0], want, within)
				near(t, fmt.Sprintf("prompt %d among others", i), together[i], want, within)
				worst = max(worst, apart(got[0], want))
			}
			t.Logf("largest difference %.4f", worst)
		})
	}
}

func TestPromptsMayBeCutAnywhere(t *testing.T) {
	t.Parallel()
	everyGolden(t, "fp32", func(t *testing.T, g golden, adapter *Adapter) {
		m := exported(t, g.ck, adapter, Options{Precision: FP32, Letters: g.letters})
		want := g.wanted(adapter)
		for i, prompt := range g.prompts {
			for at := 1; at < len(prompt); at++ {
				_, before := m.run(t, nil, prompt[:at])
				got, _ := m.run(t, before, prompt[at:])
				near(t, fmt.Sprintf("prompt %d cut at %d", i, at), got[0], want[i], tolerance)
			}
		}
		// Token by token: one is fed behind all before it.
		var before *kept
		var got [][]float32
		for at := range g.prompts[0] {
			got, before = m.run(t, before, g.prompts[0][at:at+1])
		}
		near(t, "token by token", got[0], want[0], tolerance)
	})
}

// withWindow is a checkpoint whose config says otherwise.
type withWindow struct {
	*Checkpoint
	window int
}

func (w withWindow) Config() Config {
	c := w.Checkpoint.Config()
	c.SlidingWindow = w.window
	return c
}

// TestWindowHidesWhatIsOlder needs no reference: through two layers of a window the logits depend on the last tokens
// alone, and a window that is as long as the prompt changes nothing. Qwen3's heads fit the fused attention, Mistral's not.
func TestWindowHidesWhatIsOlder(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"mistral", "qwen3"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := openGolden(t, name)
			prompt := g.prompts[0]
			wide := exported(t, withWindow{g.ck, len(prompt)}, nil, Options{Precision: FP32, Letters: g.letters})
			all, _ := wide.run(t, nil, prompt)
			near(t, "a window of the whole prompt", all[0], g.wanted(nil)[0], tolerance)

			const window = 4
			m := exported(t, withWindow{g.ck, window}, nil, Options{Precision: FP32, Letters: g.letters})
			full, _ := m.run(t, nil, prompt)
			if d := apart(full[0], all[0]); d < 1e-3 {
				t.Errorf("the window changes nothing: %v", d)
			}
			oldest := len(prompt) - 1 - 2*(window-1) // that two layers reach
			changed := slices.Clone(prompt)
			for i := range oldest {
				changed[i] = (changed[i] + 7) % 64
			}
			other, _ := m.run(t, nil, changed)
			near(t, "tokens beyond the window changed", other[0], full[0], tolerance)
			changed[oldest] = (changed[oldest] + 7) % 64
			if other, _ = m.run(t, nil, changed); apart(other[0], full[0]) == 0 {
				t.Error("the last token in reach does not count")
			}
			for at := 1; at < len(prompt); at++ {
				_, before := m.run(t, nil, prompt[:at])
				cut, _ := m.run(t, before, prompt[at:])
				near(t, fmt.Sprintf("cut at %d", at), cut[0], full[0], tolerance)
			}
		})
	}
}
