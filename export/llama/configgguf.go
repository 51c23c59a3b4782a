package llama

import (
	"errors"
	"fmt"

	"mllm4rec/internal/gguf"
)

// metadataReader reads an architecture's keys ("llama.block_count") and keeps the first failure.
type metadataReader struct {
	gguf.Metadata
	arch string
	err  error
}

func (m *metadataReader) has(key string) bool { return m.Has(m.arch + "." + key) }

func (m *metadataReader) integer(key string) int {
	n, err := m.Uint(m.arch + "." + key)
	if err == nil && n > maxPositions {
		err = fmt.Errorf("metadata key %q is %d, the most is %d", m.arch+"."+key, n, maxPositions)
	}
	m.err = errors.Join(m.err, err)
	return int(n)
}

func (m *metadataReader) float(key string, absent float64) float64 {
	if !m.has(key) {
		return absent
	}
	x, err := m.Float(m.arch + "." + key)
	m.err = errors.Join(m.err, err)
	return x
}

// ggufConfig reads the metadata of a GGUF file, and from its tensor table what the metadata leave open: biases, norms of
// q and k, a head of its own. Keys: docs/gguf.md of github.com/ggml-org/ggml.
func ggufConfig(f *gguf.File) (Config, error) {
	arch, err := f.Metadata.String("general.architecture")
	if err != nil {
		return Config{}, err
	}
	if arch != archLlama && arch != archQwen2 && arch != archQwen3 {
		return Config{}, fmt.Errorf("general.architecture is %q; llama (which Mistral and SmolLM2 are), qwen2 and qwen3 are read", arch)
	}
	m := &metadataReader{Metadata: f.Metadata, arch: arch}
	c := Config{
		Architecture: arch, Hidden: m.integer("embedding_length"), Layers: m.integer("block_count"),
		Heads: m.integer("attention.head_count"), Intermediate: m.integer("feed_forward_length"), MaxPositions: m.integer("context_length"),
		NormEpsilon: m.float("attention.layer_norm_rms_epsilon", 1e-6), RopeTheta: m.float("rope.freq_base", 1e4),
		QKVBias: f.Has("blk.0.attn_q.bias"), OutBias: f.Has("blk.0.attn_output.bias"), QKNorm: f.Has("blk.0.attn_q_norm.weight"),
		TieEmbeddings: !f.Has("output.weight"),
	}
	c.KVHeads = c.Heads
	if m.has("attention.head_count_kv") {
		c.KVHeads = m.integer("attention.head_count_kv")
	}
	if m.has("attention.sliding_window") {
		c.SlidingWindow = m.integer("attention.sliding_window")
	}
	m.headDim(&c)
	m.refuse(&c)
	c.VocabSize = m.vocabulary(f)
	c.BOS, c.EOS = m.token("bos"), m.token("eos")
	if m.err == nil {
		c.RopeScaling, m.err = m.scaling(f)
	}
	if m.err == nil {
		m.err = c.check()
	}
	return c, m.err
}

// headDim reads the size of a head, which is the hidden size over the heads where no key says otherwise.
func (m *metadataReader) headDim(c *Config) {
	if m.has("attention.key_length") {
		c.HeadDim = m.integer("attention.key_length")
		return
	}
	if c.Heads > 0 {
		c.HeadDim = c.Hidden / c.Heads
	}
}

// refuse names what this family does not have.
func (m *metadataReader) refuse(c *Config) {
	if m.err != nil {
		return
	}
	switch {
	case m.has("expert_count") && m.integer("expert_count") > 0:
		m.err = errors.New("it is a mixture of experts (expert_count), which this program does not know")
	case m.has("attention.value_length") && m.integer("attention.value_length") != c.HeadDim:
		m.err = fmt.Errorf("its values are %d long and its keys %d; equal lengths are known", m.integer("attention.value_length"), c.HeadDim)
	case m.has("rope.dimension_count") && m.integer("rope.dimension_count") != c.HeadDim:
		m.err = fmt.Errorf("rope.dimension_count is %d and a head has %d; positions that turn a part of each head only are not known",
			m.integer("rope.dimension_count"), c.HeadDim)
	}
}

// vocabulary is the number of tokens, which the list of tokens, the key and the embedding must agree on.
func (m *metadataReader) vocabulary(f *gguf.File) int {
	embedding, err := f.Tensor("token_embd.weight")
	if err != nil || len(embedding.Shape) != 2 {
		m.err = errors.Join(m.err, errors.New("tensor \"token_embd.weight\" is missing or no matrix"))
		return 0
	}
	rows := embedding.Shape[0]
	if m.has("vocab_size") && int64(m.integer("vocab_size")) != rows {
		m.err = errors.Join(m.err, fmt.Errorf("vocab_size is %d, the embedding has %d rows: vocabulary of another model", m.integer("vocab_size"), rows))
	}
	if !m.Has(tokensKey) {
		return int(min(rows, maxVocab+1))
	}
	tokens, err := m.Strings(tokensKey)
	if err == nil && int64(len(tokens)) != rows {
		err = fmt.Errorf("%s lists %d tokens, the embedding has %d rows: vocabulary of another model", tokensKey, len(tokens), rows)
	}
	m.err = errors.Join(m.err, err)
	return int(min(rows, maxVocab+1))
}

const tokensKey = "tokenizer.ggml.tokens"

// token is the id of BOS or EOS, -1 where the file has none.
func (m *metadataReader) token(which string) int32 {
	key := "tokenizer.ggml." + which + "_token_id"
	if !m.Has(key) {
		return -1
	}
	id, err := m.Uint(key)
	if err == nil && id > maxVocab {
		err = fmt.Errorf("metadata key %q is %d: not in any vocabulary", key, id)
	}
	m.err = errors.Join(m.err, err)
	return int32(id)
}
