package tokenizer

import (
	"encoding/json"
	"fmt"
)

// jsonModel is the model of a tokenizer.json: byte-pair encoding, or it is refused.
type jsonModel struct {
	Type         string          `json:"type"`
	Dropout      float64         `json:"dropout"`
	Unknown      *string         `json:"unk_token"`
	Prefix       string          `json:"continuing_subword_prefix"`
	Suffix       string          `json:"end_of_word_suffix"`
	FuseUnknown  bool            `json:"fuse_unk"`
	ByteFallback bool            `json:"byte_fallback"`
	IgnoreMerges bool            `json:"ignore_merges"`
	Vocab        json.RawMessage `json:"vocab"`
	Merges       json.RawMessage `json:"merges"`
}

// vocab checks the kind of the model and reads its vocabulary.
func (m *jsonModel) vocab() (map[string]uint32, error) {
	switch {
	case m.Type != "BPE" && (m.Type != "" || m.Merges == nil):
		return nil, fmt.Errorf("its model is of the kind %q; only BPE is known here", m.Type)
	case m.Dropout != 0:
		return nil, fmt.Errorf("its model has a dropout of %g, so that a text has no fixed tokens; set it to null", m.Dropout)
	case m.Prefix != "" || m.Suffix != "":
		return nil, fmt.Errorf("its model has continuing_subword_prefix %q and end_of_word_suffix %q, which are not known here", m.Prefix, m.Suffix)
	}
	var vocab map[string]uint32
	if err := json.Unmarshal(m.Vocab, &vocab); err != nil {
		return nil, fmt.Errorf("model.vocab: %w", err)
	}
	if len(vocab) == 0 {
		return nil, fmt.Errorf("model.vocab is empty")
	}
	return vocab, nil
}

// learn fills the encoder. Text becomes the tokens of the model, but never one that is special.
func (t *Tokenizer) learn(m *jsonModel, vocab map[string]uint32, byteLevel bool) error {
	var merges []jsonMerge
	if err := json.Unmarshal(m.Merges, &merges); err != nil {
		return fmt.Errorf("model.merges: %w", err)
	}
	plain := make([]bool, len(t.texts))
	for _, id := range vocab {
		plain[id] = !t.special[id]
	}
	t.bpe = newBPE(&t.vocabulary, plain, byteLevel)
	for rank, merge := range merges {
		if err := t.bpe.allow(&t.vocabulary, plain, merge[0], merge[1], int32(rank)); err != nil {
			return fmt.Errorf("model.merges, number %d: %w", rank, err)
		}
	}
	if m.ByteFallback {
		if byteLevel {
			return fmt.Errorf("its model has byte_fallback behind a ByteLevel pre-tokenizer, which is not known here")
		}
		t.bpe.fallBack(&t.vocabulary)
	}
	if m.IgnoreMerges {
		t.bpe.keepWhole(&t.vocabulary, plain, byteLevel)
	}
	if m.Unknown == nil {
		return nil
	}
	id, ok := t.ids[*m.Unknown]
	if !ok {
		return fmt.Errorf("its unk_token %.50q is not in the vocabulary", *m.Unknown)
	}
	t.bpe.unknown, t.bpe.joinUnknown = id, m.FuseUnknown
	return nil
}
