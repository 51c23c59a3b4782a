package llama

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"mllm4rec/internal/fail"
	"mllm4rec/internal/gguf/gguftest"
	"mllm4rec/internal/testkit"
)

// asGGUF is a checkpoint as llama.cpp's converter writes it: names, metadata, and for Llama and Mistral the rows of q and k
// permuted.
func asGGUF(t testing.TB, ck *Checkpoint) (metadata []any, tensors []gguftest.Tensor) {
	t.Helper()
	c := ck.Config()
	arch := c.Architecture
	if arch == archMistral {
		arch = archLlama
	}
	metadata = []any{
		"general.architecture", arch, arch + ".embedding_length", uint32(c.Hidden), arch + ".block_count", uint32(c.Layers),
		arch + ".attention.head_count", uint32(c.Heads), arch + ".attention.head_count_kv", uint32(c.KVHeads),
		arch + ".attention.key_length", uint32(c.HeadDim), arch + ".attention.value_length", uint32(c.HeadDim),
		arch + ".feed_forward_length", uint32(c.Intermediate), arch + ".context_length", uint32(c.MaxPositions),
		arch + ".attention.layer_norm_rms_epsilon", float32(c.NormEpsilon), arch + ".rope.freq_base", float32(c.RopeTheta),
		arch + ".rope.dimension_count", uint32(c.HeadDim), arch + ".vocab_size", uint32(c.VocabSize),
	}
	if c.BOS >= 0 {
		metadata = append(metadata, "tokenizer.ggml.bos_token_id", uint32(c.BOS), "tokenizer.ggml.eos_token_id", uint32(c.EOS))
	}
	for _, name := range ck.Names() {
		if name == headName && c.TieEmbeddings {
			continue
		}
		values, shape, err := ck.Float32(name)
		if err != nil {
			t.Fatal(err)
		}
		if arch == archLlama && strings.Contains(name, "q_proj") {
			values = permuted(values, c.Heads, c.HeadDim, c.Hidden)
		}
		if arch == archLlama && strings.Contains(name, "k_proj") {
			values = permuted(values, c.KVHeads, c.HeadDim, c.Hidden)
		}
		tensors = append(tensors, gguftest.F32(ggufName(name), shape, values))
	}
	if s := c.RopeScaling; s != nil {
		bare := c
		bare.RopeScaling = nil
		divisors := make([]float32, c.HeadDim/2)
		for i, angle := range bare.InverseFrequencies() {
			divisors[i] = float32(angle / s.apply(i, angle))
		}
		tensors = append(tensors, gguftest.F32("rope_freqs.weight", []int64{int64(len(divisors))}, divisors))
	}
	return metadata, tensors
}

// permuted is NumPy's w.reshape(heads, 2, size/2, in).swapaxes(1, 2), which is how the converter has it.
func permuted(w []float32, heads, size, in int) []float32 {
	out := make([]float32, 0, len(w))
	for head := range heads {
		for pair := range size / 2 {
			for half := range 2 {
				row := head*size + half*size/2 + pair
				out = append(out, w[row*in:(row+1)*in]...)
			}
		}
	}
	return out
}

// ggufName is llama.cpp's table of names.
func ggufName(name string) string {
	return strings.NewReplacer("model.embed_tokens", "token_embd", "model.norm", "output_norm", "lm_head", "output", "model.layers", "blk",
		"self_attn.q_proj", "attn_q", "self_attn.k_proj", "attn_k", "self_attn.v_proj", "attn_v", "self_attn.o_proj", "attn_output",
		"self_attn.q_norm", "attn_q_norm", "self_attn.k_norm", "attn_k_norm", "mlp.gate_proj", "ffn_gate", "mlp.up_proj", "ffn_up",
		"mlp.down_proj", "ffn_down", "input_layernorm", "attn_norm", "post_attention_layernorm", "ffn_norm").Replace(name)
}

func TestGGUFIsTheModelItWasMadeOf(t *testing.T) {
	t.Parallel()
	for _, name := range goldens {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := openGolden(t, name).ck
			metadata, tensors := asGGUF(t, want)
			got := open(t, gguftest.Write(t, metadata, tensors))
			sameFrequencies(t, got.Config(), want.Config())
			if a, b := comparable(got.Config()), comparable(want.Config()); !reflect.DeepEqual(a, b) {
				t.Errorf("config %+v, want %+v", a, b)
			}
			if !slices.Equal(got.Names(), want.Names()) {
				t.Fatalf("tensors %v, want %v", got.Names(), want.Names())
			}
			for _, tensor := range want.Names() {
				sameTensor(t, got, want, tensor)
			}
		})
	}
}

// comparable leaves out what the two formats say in different words or precision.
func comparable(c Config) Config {
	c.Architecture, c.RopeScaling, c.NormEpsilon, c.BOS, c.EOS = "", nil, 0, 0, 0
	return c
}

func sameFrequencies(t *testing.T, got, want Config) {
	t.Helper()
	a, b := got.InverseFrequencies(), want.InverseFrequencies()
	for i := range b {
		if d := a[i]/b[i] - 1; !(d < 1e-6 && d > -1e-6) {
			t.Errorf("pair %d turns by %v, want %v", i, a[i], b[i])
		}
	}
}

// sameTensor compares a tensor read whole, by rows and as blocks.
func sameTensor(t *testing.T, got, want *Checkpoint, name string) {
	t.Helper()
	a, shape, err := got.Float32(name)
	b, wantShape, wantErr := want.Float32(name)
	if err != nil || wantErr != nil || !slices.Equal(a, b) || !slices.Equal(shape, wantShape) {
		t.Fatalf("%s %v differs from %v: %v, %v", name, shape, wantShape, err, wantErr)
	}
	raw, err := got.Blocks(name)
	wantRaw, wantErr := want.Blocks(name)
	if err != nil || wantErr != nil || !slices.Equal(raw, wantRaw) {
		t.Errorf("the blocks of %s differ: %v, %v", name, err, wantErr)
	}
	if len(shape) != 2 {
		return
	}
	in := int(shape[1])
	rows := testkit.Must(got.Rows(name, []int{5, 0, 5}))(t)
	if want := slices.Concat(b[5*in:6*in], b[:in], b[5*in:6*in]); !slices.Equal(rows, want) {
		t.Errorf("rows of %s differ", name)
	}
}

func TestGGUFRefuses(t *testing.T) {
	t.Parallel()
	good := openGolden(t, "llama")
	set := func(key string, value any) func(m *[]any, ts *[]gguftest.Tensor) {
		return func(m *[]any, _ *[]gguftest.Tensor) {
			if at := slices.Index(*m, any(key)); at >= 0 {
				(*m)[at+1] = value
				return
			}
			*m = append(*m, key, value)
		}
	}
	for _, c := range []struct {
		name   string
		change func(m *[]any, ts *[]gguftest.Tensor)
		want   string
	}{
		{"another architecture", set("general.architecture", "phi3"), `general.architecture is "phi3"`},
		{"a mixture of experts", set("llama.expert_count", uint32(8)), "mixture of experts"},
		{"values of another length", set("llama.attention.value_length", uint32(4)), "its values are 4 long"},
		{"positions of a part of a head", set("llama.rope.dimension_count", uint32(4)), "rope.dimension_count is 4"},
		{"unknown scaling", set("llama.rope.scaling.type", "yarn"), `rope.scaling.type is "yarn"`},
		{"a vocabulary of another model", set("llama.vocab_size", uint32(65)), "vocabulary of another model"},
		{"tokens of another model", set("tokenizer.ggml.tokens", []string{"a", "b"}), "lists 2 tokens, the embedding has 64"},
		{"sizes of another model", set("llama.feed_forward_length", uint32(64)), `the config asks for [64 32]`},
		{"more layers than it holds", set("llama.block_count", uint32(3)), `"model.layers.2.input_layernorm.weight" is missing`},
		{"fewer layers than it holds", set("llama.block_count", uint32(1)), `"blk.1.attn_k.weight" is no part`},
		{"a size of another kind", set("llama.block_count", "two"), "llama.block_count"},
		{"no embedding", func(_ *[]any, ts *[]gguftest.Tensor) {
			*ts = slices.DeleteFunc(*ts, func(t gguftest.Tensor) bool { return t.Name == "token_embd.weight" })
		}, "token_embd.weight"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			metadata, tensors := asGGUF(t, good.ck)
			c.change(&metadata, &tensors)
			path := gguftest.Write(t, metadata, tensors)
			_, err := Open(path)
			if err == nil || !fail.IsUsage(err) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("error %v, want a usage error with %q", err, c.want)
			}
		})
	}
}

func TestTruncatedGGUFIsRefused(t *testing.T) {
	t.Parallel()
	whole := gguftest.Bytes(asGGUF(t, openGolden(t, "llama").ck))
	for _, keep := range []int{0, 3, 100, len(whole) / 2, len(whole) - 64} {
		path := filepath.Join(t.TempDir(), fmt.Sprintf("%d.gguf", keep))
		if err := os.WriteFile(path, whole[:keep], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); !fail.IsUsage(err) {
			t.Errorf("the first %d bytes of %d: error %v", keep, len(whole), err)
		}
	}
}
