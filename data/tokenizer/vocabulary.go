package tokenizer

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// maxTokens is more than any vocabulary has (Gemma's: 262,144).
const maxTokens = 1 << 22

// vocabulary is the tokens by id and by text.
type vocabulary struct {
	// texts are the tokens as their file writes them, "" where there is a hole; bytes what they stand for.
	texts, bytes []string
	ids          map[string]int32
	// special are left out by Decode.
	special []bool
	// unused are in the table to fill it up (GGUF); they are in no text and not in the fingerprint.
	unused []bool
}

// newVocabulary makes an empty one of ids below size; count is how many tokens the file has. A few ids may be left out,
// but a file of ten tokens gets no table for millions.
func newVocabulary(size int64, count int) (vocabulary, error) {
	if size > maxTokens || size > int64(count)*4+1024 {
		return vocabulary{}, fmt.Errorf("it has an id of %d with %d tokens", size-1, count)
	}
	return vocabulary{
		texts: make([]string, size), bytes: make([]string, size), special: make([]bool, size), unused: make([]bool, size),
		ids: make(map[string]int32, count),
	}, nil
}

// add puts a token in its place. One that stands there already may be added again.
func (v *vocabulary) add(id int32, text string) error {
	if id < 0 || int(id) >= len(v.texts) {
		return fmt.Errorf("token %.50q has the id %d", text, id)
	}
	if text == "" {
		return fmt.Errorf("token %d is empty", id)
	}
	if at := v.texts[id]; at != "" && at != text {
		return fmt.Errorf("tokens %.50q and %.50q both have the id %d", at, text, id)
	}
	if at, ok := v.ids[text]; ok && at != id {
		return fmt.Errorf("token %.50q has the ids %d and %d", text, at, id)
	}
	v.texts[id], v.ids[text] = text, id
	return nil
}

// Fingerprint identifies the vocabulary: two files whose ids mean the same tokens have the same, so that a model,
// an adapter or cached prompts that were made with another vocabulary are found out. A model's GGUF and its
// tokenizer.json agree.
func (t *Tokenizer) Fingerprint() string {
	hash := sha256.New()
	var number [8]byte
	for id, text := range t.texts {
		if text == "" || t.unused[id] {
			continue
		}
		binary.LittleEndian.PutUint32(number[:4], uint32(id))
		binary.LittleEndian.PutUint32(number[4:], uint32(len(text)))
		hash.Write(number[:])
		hash.Write([]byte(text))
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// Conflict finds the first id that means one token here and another there, as ids of two models' vocabularies do. Special
// tokens do not count: who tunes a model renames some.
func (t *Tokenizer) Conflict(other *Tokenizer) (id int32, found bool) {
	for id := range min(len(t.texts), len(other.texts)) {
		a, b := t.plainText(id), other.plainText(id)
		if a != "" && b != "" && a != b {
			return int32(id), true
		}
	}
	return -1, false
}

// plainText is a token as its file writes it, "" for one that is special, unused or a hole.
func (v *vocabulary) plainText(id int) string {
	if v.special[id] || v.unused[id] {
		return ""
	}
	return v.texts[id]
}
