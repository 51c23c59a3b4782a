package tokenizer

import "strings"

// Decode gives the text that tokens stand for, without special tokens and without the space that was put before the
// text. Tokens may end within a character: the bytes come as they are, so strings.ToValidUTF8 before they are shown.
// An id that the vocabulary has not stands for nothing.
func (t *Tokenizer) Decode(ids []int32) string { return t.decode(ids, false) }

// DecodeMarkup is Decode with special tokens as they are spelt: what a model sees.
func (t *Tokenizer) DecodeMarkup(ids []int32) string { return t.decode(ids, true) }

func (t *Tokenizer) decode(ids []int32, special bool) string {
	var text strings.Builder
	for _, id := range ids {
		if id >= 0 && int(id) < len(t.bytes) && (special || !t.special[id]) {
			text.WriteString(t.bytes[id])
		}
	}
	if t.stripSpace {
		return strings.TrimPrefix(text.String(), " ")
	}
	return text.String()
}
