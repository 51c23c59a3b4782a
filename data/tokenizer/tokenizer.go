// Package tokenizer turns text into the token ids of a language model and back: byte-pair encoding as GPT-2, Llama 3,
// Qwen 2 and SmolLM have it (over bytes) and as Llama 1 and 2 and Mistral have it (SentencePiece's, with byte fall-back).
// The vocabulary comes from a Hugging Face tokenizer.json or out of a GGUF file; the ids are those of the Rust library
// tokenizers, which the tests compare with. What a file asks for and is not known here is refused by name.
//
// Text and markup are two things. Encode takes everything as plain text: a film called "<|im_end|>" becomes some nine
// ordinary tokens and ends nobody's turn. EncodeMarkup, for what the program or the user's template says, finds the
// tokens that stand for themselves, as the Rust library does.
package tokenizer

import (
	"os"
	"path/filepath"
	"strings"

	"mllm4rec/internal/fail"
)

// Tokenizer is one model's vocabulary and how text is cut into it. Its methods may be called at once from several
// goroutines.
type Tokenizer struct {
	vocabulary
	text   pipeline
	bpe    bpe
	cache  cache
	markup markup

	bos, eos int32
	start    []int32
	// stripSpace: the space that the pipeline put before a text is taken away again by Decode.
	stripSpace bool
}

// Open reads the tokenizer at path: a tokenizer.json, a folder that holds one (the usual Hugging Face folder, whose
// tokenizer_config.json and config.json then tell the tokens that begin and end a text), or a .gguf file. What is
// missing, damaged or of a kind unknown here is a usage error.
func Open(path string) (*Tokenizer, error) {
	stat, err := os.Stat(path)
	if os.IsNotExist(err) {
		return nil, fail.Usagef("%s: no such file or folder", path)
	}
	if err != nil {
		return nil, err
	}
	if strings.EqualFold(filepath.Ext(path), ".gguf") {
		return openGGUF(path)
	}
	if !stat.IsDir() {
		return openJSON(path)
	}
	file := filepath.Join(path, "tokenizer.json")
	if _, err := os.Stat(file); err != nil {
		return nil, fail.Usagef("%s: holds no tokenizer.json; a model folder needs it (a SentencePiece tokenizer.model alone is not read), "+
			"or name the model's .gguf file", path)
	}
	return openJSON(file)
}

// Token finds a token by the text that its file has for it: "<|im_end|>", "Ġthe", "▁the", "<0x0A>".
func (t *Tokenizer) Token(text string) (id int32, ok bool) {
	id, ok = t.ids[text]
	return id, ok
}

// VocabSize is the number of ids: the largest one plus 1. A model may have more rows than that.
func (t *Tokenizer) VocabSize() int { return len(t.texts) }

// BOS is the token that begins a text, -1 where the model has none.
func (t *Tokenizer) BOS() int32 { return t.bos }

// EOS is the token that ends a text (a turn, in a model that chats), -1 where the file names none.
func (t *Tokenizer) EOS() int32 { return t.eos }

// Start is what the model expects before every text: BOS for Llama and Mistral, nothing for SmolLM and Qwen. No Encode
// puts it in; the caller does not change it.
func (t *Tokenizer) Start() []int32 { return t.start }
