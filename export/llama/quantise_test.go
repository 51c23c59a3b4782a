package llama

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"mllm4rec/export/onnx"
	"mllm4rec/export/weights"
	"mllm4rec/internal/gguf/gguftest"
	"mllm4rec/runtime/ort"
	"mllm4rec/runtime/ort/orttest"
)

func TestTurningTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	for _, block := range []int{1, 2, 16, 32} {
		values := make([]float32, 3*block)
		for i := range values {
			values[i] = float32(i%7) - 2.5
		}
		turned := slices.Clone(values)
		turn(turned, block)
		if block > 1 && apart(turned, values) < 0.1 {
			t.Errorf("block %d: nothing was turned", block)
		}
		turn(turned, block)
		near(t, "turned twice", turned, values, 1e-5)
	}
}

func TestTurningSpreadsAnOutlier(t *testing.T) {
	t.Parallel()
	values := make([]float32, 64)
	values[37] = 32
	turn(values, 32)
	for i, v := range values {
		if want := math.Sqrt(32) * float64(i/32); math.Abs(math.Abs(float64(v))-want) > 1e-5 {
			t.Errorf("place %d holds %v, want %v or its negative", i, v, want)
		}
	}
}

func TestStepsOf8BitsAreFineAndPairsBounded(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for name, draw := range map[string]func(i int) float32{
		"normal":       func(int) float32 { return float32(random.NormFloat64()) },
		"all equal":    func(int) float32 { return -3 },
		"one outlier":  func(i int) float32 { return map[bool]float32{true: 50, false: float32(random.NormFloat64())}[i == 9] },
		"large pairs":  func(i int) float32 { return map[bool]float32{true: 4, false: 0.01}[i/2%3 == 0] },
		"signs differ": func(i int) float32 { return float32(1 - i%2*2) },
		"zeros":        func(int) float32 { return 0 },
		"tiny":         func(int) float32 { return float32(random.NormFloat64()) * 1e-30 },
	} {
		for _, n := range []int{1, 2, 33, 576} {
			row, q := make([]float32, n), make([]int8, n)
			power, e := 0.0, 0.0
			for i := range row {
				row[i] = draw(i)
				power += float64(row[i]) * float64(row[i])
			}
			step := quantise8(q, row)
			for i, w := range row {
				d := float64(w - float32(q[i])*step)
				e += d * d
				if i%2 == 1 && (q[i] < 0) == (q[i-1] < 0) && max(int(q[i])+int(q[i-1]), -int(q[i])-int(q[i-1])) > pairSum {
					t.Errorf("%s: a pair of %d and %d", name, q[i-1], q[i])
				}
			}
			if !(step > 0) || !(math.Sqrt(e) <= 0.06*math.Sqrt(power)) {
				t.Errorf("%s, %d numbers: an error of %v of %v in steps of %v", name, n, math.Sqrt(e), math.Sqrt(power), step)
			}
		}
	}
}

// TestNoPairSaturates multiplies the largest activations by the largest pairs on ONNX Runtime and compares with whole
// numbers: CPUs without VNNI add neighbours up in 16 bits.
func TestNoPairSaturates(t *testing.T) {
	t.Parallel()
	const in, out = 64, 48
	w := make([]int8, in*out) // [in, out]
	for column := range out {
		row, q := make([]float32, in), make([]int8, in)
		for i := range row {
			row[i] = float32(1 - column%2*2)
			if column%3 == 0 && i%2 == 1 {
				row[i] *= 0.01 * float32(column)
			}
		}
		quantise8(q, row)
		for i, v := range q {
			w[i*out+column] = v
		}
	}
	g := onnx.New("pairs")
	g.Metadata("mllm4rec.format", "1")
	g.Metadata("mllm4rec.kind", "ranker")
	x := g.Cast(g.Input("x", onnx.Float32, onnx.Sym("rows"), onnx.Num(in)), onnx.Uint8)
	steps := slices.Repeat([]float32{1}, out)
	g.Output("y", g.MatMulIntegerToFloat(x, g.Raw("w", onnx.Int8, []int64{in, out}, encodeInt8(w)), g.Scalar(1), g.Float32("steps", []int64{out}, steps), g.Byte(128)))
	path := filepath.Join(t.TempDir(), "pairs.onnx")
	if err := must(g.Finish())(t).Write(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	session := must(ort.Open(path, orttest.Options(t)))(t)
	defer session.Close()
	for _, activation := range []float32{255, 128, 1} {
		got := make([]float32, 5*out)
		if err := session.Run(t.Context(), []ort.Value{lent(t, slices.Repeat([]float32{activation}, 5*in), 5, in)}, []ort.Value{lent(t, got, 5, out)}); err != nil {
			t.Fatal(err)
		}
		for column := range out {
			want := 0
			for i := range in {
				want += (int(activation) - 128) * int(w[i*out+column])
			}
			if int(got[column]) != want || int(got[4*out+column]) != want {
				t.Errorf("activations %v, column %d: %v, want %d", activation, column, got[column], want)
			}
		}
	}
}

// fourBits is a random model in Q4_0 or Q4_1, some blocks of equal numbers among them.
func fourBits(t *testing.T, q41 bool) *Checkpoint {
	t.Helper()
	random := rand.New(rand.NewPCG(3, 4))
	c := Config{VocabSize: 64, Hidden: 64, Layers: 2, Heads: 4, KVHeads: 2, HeadDim: 16, Intermediate: 96, TieEmbeddings: true}
	metadata := []any{
		"general.architecture", "llama", "llama.embedding_length", uint32(64), "llama.block_count", uint32(2), "llama.attention.head_count", uint32(4),
		"llama.attention.head_count_kv", uint32(2), "llama.feed_forward_length", uint32(96), "llama.context_length", uint32(128),
		"llama.attention.layer_norm_rms_epsilon", float32(1e-5),
	}
	var tensors []gguftest.Tensor
	for _, want := range c.expect() {
		if len(want.shape) == 1 || want.name == embeddingName {
			values := make([]float32, want.shape[0]*append(want.shape, 1)[1])
			for i := range values {
				values[i] = 1 + 0.1*float32(random.NormFloat64())
			}
			tensors = append(tensors, gguftest.F32(want.gguf, want.shape, values))
			continue
		}
		tensor := gguftest.Tensor{Name: want.gguf, Type: 2, Shape: want.shape}
		if q41 {
			tensor.Type = 3
		}
		for block := range want.shape[0] * want.shape[1] / 32 {
			d := 0.01 + 0.02*random.Float32()
			if block%9 == 4 {
				d = 0
			}
			tensor.Data = binary.LittleEndian.AppendUint16(tensor.Data, weights.Half(d))
			if q41 {
				tensor.Data = binary.LittleEndian.AppendUint16(tensor.Data, weights.Half(-0.1-0.2*random.Float32()))
			}
			for range 16 {
				tensor.Data = append(tensor.Data, byte(random.Uint32()))
			}
		}
		tensors = append(tensors, tensor)
	}
	return open(t, gguftest.Write(t, metadata, tensors))
}

// TestOwnBlocksAreKept: in int4 a GGUF file's 4-bit blocks give what they give in float32, but for the embeddings, which
// are halved; with an adapter its layers are nearly as good.
func TestOwnBlocksAreKept(t *testing.T) {
	t.Parallel()
	letters, prompt := []int32{3, 5, 8, 13, 21, 34}, []int32{1, 7, 33, 60, 2, 19, 44, 9, 9, 28}
	pair := Pair{Rank: 2, In: 64, Out: 64, A: make([]float32, 128), B: make([]float32, 128)}
	for i := range pair.A {
		pair.A[i], pair.B[i] = float32(i%5)*0.02, float32(i%3)*0.02
	}
	adapter := &Adapter{Rank: 2, Alpha: 4, Pairs: map[string]Pair{"model.layers.0.self_attn.q_proj": pair, "model.layers.1.self_attn.o_proj": pair}}
	for _, q41 := range []bool{false, true} {
		ck := fourBits(t, q41)
		for within, a := range map[float64]*Adapter{2e-3: nil, 0.05: adapter} {
			want, _ := exported(t, ck, a, Options{Precision: FP32, Letters: letters}).run(t, nil, prompt)
			got, _ := exported(t, ck, a, Options{Precision: INT4, Letters: letters}).run(t, nil, prompt)
			near(t, "int4", got[0], want[0], within)
			t.Logf("Q4_1 %v, adapter %v: largest difference %.5f of %v", q41, a != nil, apart(got[0], want[0]), want[0])
		}
	}
}
