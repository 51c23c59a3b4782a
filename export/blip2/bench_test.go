package blip2

import (
	"fmt"
	"path/filepath"
	"testing"

	"mllm4rec/export/matrix"
	"mllm4rec/export/onnx"
	"mllm4rec/internal/testkit"
	"mllm4rec/runtime/ort"
	"mllm4rec/runtime/ort/orttest"
)

// BenchmarkDecoding compares the two ways to decode 20 tokens for 8 pictures behind 32 vectors and BOS: in a Loop of the
// graph, and round by round, keys and values going out of one run and into the next. The second way writes them into memory
// that Go lends, on the CPU without a copy; on a GPU they would cross the bus twice a token, since onnxruntime_go keeps no
// output on the device. On one core of a busy machine the loop takes 0.59 s in float32 and 0.31 s in int8, the rounds 0.53 and
// 0.27 s: it puts rows of keys and values in the order of beams, and checks logits, which the rounds here do not. Beside the
// pictures' ViT, which takes most of the time, that is a few parts in a hundred.
func BenchmarkDecoding(b *testing.B) {
	for _, precision := range []matrix.Precision{matrix.FP32, matrix.INT8} {
		b.Run(string(precision)+" loop", func(b *testing.B) {
			s := alone(b, precision, func(m *builder) {
				g := m.g
				prefix := g.Input("prefix", onnx.Float32, batch, onnx.Dim{}, onnx.Num(int64(m.Text.Hidden)))
				blank := g.Input("blank", onnx.Int64, batch, beams, limit)
				tokens, _ := m.generate(prefix, blank, g.Input("ends", onnx.Int64, ends))
				g.Output("tokens", tokens)
			})
			prefix, blank, tokens := lent(b, random(benchRows*33*384), benchRows, 33, 384), lent(b, make([]int64, benchRows*20), benchRows, 1, 20), lent(b, make([]int64, benchRows*20), benchRows, 20)
			stops := lent(b, []int64{-1}, 1)
			for b.Loop() {
				if err := s.Run(b.Context(), []ort.Value{prefix, blank, stops}, []ort.Value{tokens}); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(string(precision)+" round by round", func(b *testing.B) {
			s := alone(b, precision, func(m *builder) {
				g, t := m.g, &m.Text
				x := g.Input("fed", onnx.Float32, rows, fed, onnx.Num(int64(t.Hidden)))
				var before []onnx.Value
				for i := range 2 * t.Layers {
					before = append(before, g.Input(fmt.Sprintf("past%d", i), onnx.Float32, rows, onnx.Num(int64(t.Heads)), past, onnx.Num(int64(t.Hidden/t.Heads))))
				}
				logits, all := m.decoder(g, x, before)
				token := g.ArgMax(logits, 1, true)
				g.Output("token", token)
				g.Output("next", m.embed(g, token))
				for i, v := range all {
					g.Output(fmt.Sprintf("present%d", i), v)
				}
			})
			roundByRound(b, s)
		})
	}
}

const benchRows = 8

func roundByRound(b *testing.B, s *ort.Session) {
	t := &midSize.Text
	size := t.Hidden / t.Heads
	prefix, token, next := random(benchRows*33*384), make([]int64, benchRows), make([]float32, benchRows*384)
	var turns [2][][]float32
	for k := range turns {
		for range 2 * t.Layers {
			turns[k] = append(turns[k], make([]float32, benchRows*53*t.Hidden))
		}
	}
	for b.Loop() {
		x, n, before := prefix, 33, 0
		for round := range 20 {
			var tensors []interface{ Close() }
			lend := func(data []float32, shape ...int64) ort.Value {
				v := testkit.Must(ort.NewTensor(data, shape...))(b)
				tensors = append(tensors, v)
				return v
			}
			in := []ort.Value{lend(x, benchRows, int64(n), 384)}
			chosen := testkit.Must(ort.NewTensor(token, benchRows, 1))(b)
			out := []ort.Value{chosen, lend(next, benchRows, 1, 384)}
			for i := range 2 * t.Layers {
				in = append(in, lend(turns[round%2][i], benchRows, int64(t.Heads), int64(before), int64(size)))
				out = append(out, lend(turns[1-round%2][i], benchRows, int64(t.Heads), int64(before+n), int64(size)))
			}
			if err := s.Run(b.Context(), in, out); err != nil {
				b.Fatal(err)
			}
			chosen.Close()
			for _, v := range tensors {
				v.Close()
			}
			x, n, before = next, 1, before+n
		}
	}
}

func random(n int) []float32 { return newMade(midSize).draw("pixels", 0, n) }

// alone makes a session of a part of the graph, on one thread.
func alone(t testing.TB, precision matrix.Precision, build func(*builder)) *ort.Session {
	t.Helper()
	b := &builder{Config: midSize, reader: &reader{newMade(midSize)}, Options: Options{Precision: precision}, g: onnx.New("part")}
	if err := b.choose(); err != nil {
		t.Fatal(err)
	}
	b.describe()
	b.storeEmbeddings()
	build(b)
	path := filepath.Join(t.TempDir(), "part.onnx")
	if err := testkit.Must(b.g.Finish())(t).Write(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	options := orttest.Options(t)
	options.Threads = 1
	s := testkit.Must(ort.Open(path, options))(t)
	t.Cleanup(func() { _ = s.Close() })
	return s
}
