package tokenizer

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"mllm4rec/internal/fail"
)

// maxJSON is how large a tokenizer.json and the files beside it may be, in bytes (Gemma's: 33 MB).
const maxJSON = 128 << 20

// jsonFile is a tokenizer.json of the Rust library tokenizers. Its truncation and padding are not read: they are the
// caller's business.
type jsonFile struct {
	Added         []jsonAdded `json:"added_tokens"`
	Normalizer    section     `json:"normalizer"`
	PreTokenizer  section     `json:"pre_tokenizer"`
	PostProcessor section     `json:"post_processor"`
	Decoder       section     `json:"decoder"`
	Model         jsonModel   `json:"model"`
}

type jsonAdded struct {
	ID         uint32 `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	Left       bool   `json:"lstrip"`
	Right      bool   `json:"rstrip"`
	Special    bool   `json:"special"`
}

// openJSON reads a tokenizer.json and what is beside it.
func openJSON(path string) (*Tokenizer, error) {
	var file jsonFile
	if err := readJSON(path, &file); err != nil {
		return nil, err
	}
	t, err := file.tokenizer()
	if err != nil {
		return nil, fail.Usagef("%s: %w", path, err)
	}
	if err := t.configure(filepath.Dir(path)); err != nil {
		return nil, err
	}
	return t, nil
}

// Parse makes a tokenizer of what a tokenizer.json holds, such as a model file carries along. Which tokens begin and end a
// text is known as far as the file itself says it. What is damaged or of a kind unknown here is a usage error.
func Parse(data []byte) (*Tokenizer, error) {
	var file jsonFile
	err := json.Unmarshal(data, &file)
	var t *Tokenizer
	if err == nil {
		t, err = file.tokenizer()
	}
	if err != nil {
		return nil, fail.Usagef("a tokenizer.json in a model file: %w", err)
	}
	return t, nil
}

// readJSON reads a file that is not too large. A file that is not there is os.ErrNotExist.
func readJSON(path string, into any) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, maxJSON+1))
	if err != nil {
		return err
	}
	if len(data) > maxJSON {
		return fail.Usagef("%s: above %d MB; no vocabulary is as large", path, maxJSON>>20)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fail.Usagef("%s: not a sound JSON file of a tokenizer: %w", path, err)
	}
	return nil
}

// tokenizer makes what the file describes, and refuses what is not known here.
func (f *jsonFile) tokenizer() (*Tokenizer, error) {
	t := &Tokenizer{bos: -1, eos: -1}
	byteLevel, err := t.text.read(f.Normalizer.parts(), f.PreTokenizer.parts())
	if err != nil {
		return nil, err
	}
	if t.stripSpace, err = decoder(f.Decoder.parts(), byteLevel); err != nil {
		return nil, err
	}
	vocab, err := f.Model.vocab()
	if err != nil {
		return nil, err
	}
	if err := t.addAll(vocab, f.Added); err != nil {
		return nil, err
	}
	if err := t.learn(&f.Model, vocab, byteLevel); err != nil {
		return nil, err
	}
	if !byteLevel && len(t.text.cut) == 0 && t.bpe.wordsByMark(&t.vocabulary) {
		t.text.cut = []cutter{{words: splitMarks}}
	}
	t.spell(f.Added, byteLevel)
	return t, t.template(f.PostProcessor.parts())
}

// addAll fills the vocabulary with the model's tokens and the added ones.
func (t *Tokenizer) addAll(vocab map[string]uint32, tokens []jsonAdded) (err error) {
	size := int64(0)
	for _, id := range vocab {
		size = max(size, int64(id)+1)
	}
	for _, token := range tokens {
		size = max(size, int64(token.ID)+1)
	}
	if t.vocabulary, err = newVocabulary(size, len(vocab)+len(tokens)); err != nil {
		return err
	}
	for text, id := range vocab {
		if err := t.add(int32(id), text); err != nil {
			return err
		}
	}
	for _, token := range tokens {
		if token.SingleWord {
			return fmt.Errorf("added token %.50q: single_word is not known here", token.Content)
		}
		if err := t.add(int32(token.ID), token.Content); err != nil {
			return err
		}
		t.special[token.ID] = token.Special
	}
	return nil
}

// spell says what every token stands for, and which ones stand for themselves in markup.
func (t *Tokenizer) spell(tokens []jsonAdded, byteLevel bool) {
	for id, text := range t.texts {
		t.bytes[id] = meaning(text, byteLevel)
	}
	all := make([]added, len(tokens))
	for i, token := range tokens {
		if byteLevel {
			t.bytes[token.ID] = token.Content
		}
		all[i] = added{text: token.Content, id: int32(token.ID), left: token.Left, right: token.Right}
	}
	t.markup = newMarkup(all)
}
