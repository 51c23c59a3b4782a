package caption

import (
	"context"
	"strings"
	"unicode"

	utf8text "golang.org/x/text/encoding/unicode"
)

// Vocabulary turns text into tokens and back, without special tokens: a *tokenizer.Tokenizer of data/tokenizer does.
type Vocabulary interface {
	Encode(text string) []int32
	Decode(ids []int32) string
}

// Caption is Generate in words: prompt is the text that captions go on from, "" for none, in the place of Options.Prompt.
func (c *Captioner) Caption(ctx context.Context, pixels []float32, v Vocabulary, prompt string, o Options) ([]string, error) {
	o.Prompt = v.Encode(prompt)
	ids, err := c.Generate(ctx, pixels, o)
	if err != nil {
		return nil, err
	}
	captions := make([]string, len(ids))
	for i := range ids {
		captions[i] = Words(v, ids[i])
	}
	return captions, nil
}

// Words is the text of a caption, as Hugging Face's decode with skip_special_tokens gives it, stripped: bytes that are no
// UTF-8, which a caption that is cut within a character has, become U+FFFD.
func Words(v Vocabulary, ids []int32) string {
	text := v.Decode(ids)
	if sound, err := utf8text.UTF8.NewDecoder().String(text); err == nil {
		text = sound
	}
	return strings.TrimFunc(text, space)
}

// space is what Python's strip takes away.
func space(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }
