package tokenizer

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"mllm4rec/internal/fail"
	"mllm4rec/internal/gguf"
)

// Keys of a GGUF file's metadata.
const (
	keyModel  = "tokenizer.ggml.model"
	keyPre    = "tokenizer.ggml.pre"
	keyTokens = "tokenizer.ggml.tokens"
	keyKinds  = "tokenizer.ggml.token_type"
	keyMerges = "tokenizer.ggml.merges"
	keyScores = "tokenizer.ggml.scores"
	keyBOS    = "tokenizer.ggml.bos_token_id"
	keyEOS    = "tokenizer.ggml.eos_token_id"
	keyUnk    = "tokenizer.ggml.unknown_token_id"
	keyAddBOS = "tokenizer.ggml.add_bos_token"
	keyPrefix = "tokenizer.ggml.add_space_prefix"
	keyExtra  = "tokenizer.ggml.remove_extra_whitespaces"
)

// Kinds of tokens, as llama.cpp numbers them.
const (
	kindNormal  = 1
	kindUnknown = 2
	kindControl = 3
	kindUser    = 4
	kindUnused  = 5
	kindByte    = 6
)

// preTokenizer is what a GGUF file has only a name for.
type preTokenizer struct {
	cut []cutter
	nfc bool
	// whole: ignore_merges. addBOS: BOS is put unless the file says otherwise.
	whole, addBOS bool
}

// SmolLM cuts words first here and then their digits, as the reference vectors have it. Its tokenizer.json, where there
// is one, and llama.cpp cut digits first: that differs where two spaces or more come before a digit, and for ½ and ².
var (
	gptWords  = cutter{words: splitGPT2}
	llama3    = preTokenizer{cut: []cutter{{words: splitters[patternLlama3]}}, whole: true, addBOS: true}
	qwen2     = preTokenizer{cut: []cutter{{words: splitters[patternQwen2]}}, nfc: true}
	preByName = map[string]preTokenizer{
		"gpt-2": {cut: []cutter{gptWords}}, "smollm": {cut: []cutter{gptWords, {words: splitDecimals}}},
		"llama-bpe": llama3, "llama3": llama3, "llama-v3": llama3, "qwen2": qwen2, "deepseek-r1-qwen": qwen2,
	}
)

// openGGUF reads the vocabulary in a GGUF file.
func openGGUF(path string) (*Tokenizer, error) {
	file, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	m := file.Metadata
	if err := file.Close(); err != nil {
		return nil, err
	}
	t, err := fromGGUF(m)
	if err != nil {
		return nil, fail.Usagef("%s: %w", path, err)
	}
	return t, nil
}

func fromGGUF(m gguf.Metadata) (*Tokenizer, error) {
	model, err := m.String(keyModel)
	if err != nil {
		return nil, fmt.Errorf("it holds no vocabulary that is known here: %w", err)
	}
	byteLevel := model == "gpt2"
	if !byteLevel && model != "llama" {
		return nil, fmt.Errorf("its vocabulary is of the kind %q (%s); gpt2 and llama are known here", model, keyModel)
	}
	t := &Tokenizer{bos: -1, eos: -1}
	plain, err := t.ggufTokens(m, byteLevel)
	if err != nil {
		return nil, err
	}
	addBOS := true
	if byteLevel {
		addBOS, err = t.ggufBytes(m, plain)
	} else {
		err = t.ggufPieces(m, plain)
	}
	if err != nil {
		return nil, err
	}
	return t, t.ggufEnds(m, addBOS)
}

// ggufTokens fills the vocabulary, and tells which tokens text may become without being markup.
func (t *Tokenizer) ggufTokens(m gguf.Metadata, byteLevel bool) (plain []bool, err error) {
	tokens, err := m.Strings(keyTokens)
	if err != nil {
		return nil, err
	}
	kinds, err := m.Ints(keyKinds)
	if err != nil {
		return nil, err
	}
	if len(kinds) != len(tokens) || len(tokens) == 0 {
		return nil, fmt.Errorf("it has %d tokens and the kinds of %d", len(tokens), len(kinds))
	}
	if t.vocabulary, err = newVocabulary(int64(len(tokens)), len(tokens)); err != nil {
		return nil, err
	}
	plain = make([]bool, len(tokens))
	var all []added
	for i, text := range tokens {
		if err := t.add(int32(i), text); err != nil {
			return nil, err
		}
		t.bytes[i] = meaning(text, byteLevel)
		switch kinds[i] {
		case kindNormal, kindByte:
			plain[i] = kinds[i] == kindNormal
		case kindUnused:
			t.unused[i], t.bytes[i] = true, ""
		case kindUnknown, kindControl, kindUser:
			t.special[i] = kinds[i] != kindUser
			if byteLevel {
				t.bytes[i] = text
			}
			all = append(all, added{text: text, id: int32(i)})
		default:
			return nil, fmt.Errorf("token %d (%.50q) is of kind %d, which is not known here", i, text, kinds[i])
		}
	}
	t.markup = newMarkup(all)
	return plain, nil
}

// ggufBytes makes the pipeline and the encoder of a vocabulary over bytes.
func (t *Tokenizer) ggufBytes(m gguf.Metadata, plain []bool) (addBOS bool, err error) {
	name, _ := m.String(keyPre)
	pre, ok := preByName[name]
	if !ok {
		return false, fmt.Errorf("the way it cuts words is called %q (%s), which is not known here (%s are); "+
			"name a folder with the model's tokenizer.json instead", name, keyPre, strings.Join(slices.Sorted(maps.Keys(preByName)), ", "))
	}
	merges, err := m.Strings(keyMerges)
	if err != nil {
		return false, err
	}
	t.text.cut = pre.cut
	if pre.nfc {
		t.text.rewrite = []rewriter{nfc}
	}
	t.bpe = newBPE(&t.vocabulary, plain, true)
	for rank, line := range merges {
		parts := cutMerge(line)
		if len(parts) != 2 {
			return false, fmt.Errorf("%s: merge %d, %.50q, has not two parts", keyMerges, rank, line)
		}
		if err := t.bpe.allow(&t.vocabulary, plain, parts[0], parts[1], int32(rank)); err != nil {
			return false, fmt.Errorf("%s: number %d: %w", keyMerges, rank, err)
		}
	}
	if pre.whole {
		t.bpe.keepWhole(&t.vocabulary, plain, true)
	}
	return pre.addBOS, nil
}

// ggufEnds reads which tokens begin and end a text.
func (t *Tokenizer) ggufEnds(m gguf.Metadata, addBOS bool) (err error) {
	if t.bos, err = t.ggufID(m, keyBOS); err != nil {
		return err
	}
	if t.eos, err = t.ggufID(m, keyEOS); err != nil {
		return err
	}
	addBOS = addBOS && t.bos >= 0
	if m.Has(keyAddBOS) {
		if addBOS, err = m.Bool(keyAddBOS); err != nil {
			return err
		}
	}
	return t.begin(&addBOS)
}

// ggufID is the token under a key, -1 where the file has none.
func (t *Tokenizer) ggufID(m gguf.Metadata, key string) (int32, error) {
	if !m.Has(key) {
		return -1, nil
	}
	id, err := m.Int(key)
	if err != nil {
		return -1, err
	}
	if id < 0 || id >= int64(len(t.texts)) {
		return -1, fmt.Errorf("metadata key %q is %d; the vocabulary has %d tokens", key, id, len(t.texts))
	}
	return int32(id), nil
}
