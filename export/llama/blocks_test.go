package llama

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"mllm4rec/export/weights"
	"mllm4rec/internal/gguf/gguftest"
)

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
