package tokenizer_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mllm4rec/data/tokenizer"
	"mllm4rec/internal/gguf/gguftest"
)

// FuzzJSON: whatever the bytes, Open returns an error or a tokenizer that works. The seeds are short: Go's fuzzing
// spends its time on shortening what is long.
func FuzzJSON(f *testing.F) {
	level := `{"type":"ByteLevel","add_prefix_space":true}`
	for _, file := range []string{
		`{"added_tokens":[{"id":3,"content":"<|end|>","special":true,"lstrip":true}],"pre_tokenizer":` + level + `,"decoder":` + level +
			`,"model":{"type":"BPE","ignore_merges":true,"vocab":{"t":0,"h":1,"th":2},"merges":["t h"]}}`,
		`{"normalizer":{"type":"NFC"},"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Digits"},` + level + `]},"decoder":` + level +
			`,"model":{"unk_token":"h","fuse_unk":true,"vocab":{"h":0},"merges":[]}}`,
		`{"normalizer":{"type":"Prepend","prepend":"▁"},"decoder":{"type":"Metaspace","replacement":"▁"},"model":{"type":"BPE","unk_token":"?",` +
			`"byte_fallback":true,"vocab":{"?":0,"<0x0A>":1,"▁":2,"a":3,"▁a":4},"merges":[["▁","a"]]}}`,
		`{"pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"first"},"post_processor":{"type":"TemplateProcessing","single":` +
			`[{"SpecialToken":{"id":"a"}}],"special_tokens":{"a":{"ids":[0]}}},"decoder":{"type":"Metaspace","replacement":"▁"},"model":{"vocab":{"a":0},"merges":[]}}`,
	} {
		path := filepath.Join(folder(f, object{"tokenizer.json": []byte(file)}), "tokenizer.json")
		open(f, path)
		f.Add([]byte(file))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		use(t, "tokenizer.json", data)
		if tok, err := tokenizer.Parse(data); err == nil {
			tok.Decode(tok.EncodeMarkup("the then <|end|>"))
		}
	})
}

// FuzzGGUF: the same for a vocabulary in a GGUF file, given in its parts (the container has its own fuzz target):
// tokens and merges by lines, kinds as bytes, of which the scores are made.
func FuzzGGUF(f *testing.F) {
	f.Add("gpt2", "llama-bpe", "t\nh\nth\n<|end|>", "t h", []byte{1, 1, 1, 3}, byte(3), true)
	f.Add("llama", "", "<0x0A>\n▁\na\n▁a\n<unk>", "", []byte{6, 1, 1, 1, 2}, byte(4), false)
	f.Fuzz(func(t *testing.T, model, pre, tokens, merges string, kinds []byte, id byte, add bool) {
		if len(tokens)+len(merges)+len(kinds) > 1<<14 {
			t.Skip("larger files add nothing but time")
		}
		scores := make([]float32, len(kinds))
		for i := range kinds {
			scores[i] = float32(i % 3)
		}
		use(t, "model.gguf", gguftest.Bytes([]any{
			"tokenizer.ggml.model", model, "tokenizer.ggml.pre", pre, "tokenizer.ggml.tokens", strings.Split(tokens, "\n"),
			"tokenizer.ggml.merges", strings.Split(merges, "\n"), "tokenizer.ggml.token_type", kinds, "tokenizer.ggml.scores", scores,
			"tokenizer.ggml.bos_token_id", id, "tokenizer.ggml.unknown_token_id", id, "tokenizer.ggml.add_bos_token", add,
		}, nil))
	})
}

func use(t *testing.T, name string, data []byte) {
	if len(data) > 1<<16 {
		t.Skip("larger files add nothing but time")
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Open(path)
	if err != nil {
		return
	}
	for _, text := range []string{"", "the then <|end|>\n", " ab <0x0A> 日e\u0301▁\xff", tok.DecodeMarkup([]int32{0, 1, 2})} {
		for _, ids := range [][]int32{tok.Encode(text), tok.EncodeMarkup(text), tok.Continue(text), tok.Start(), {tok.BOS(), tok.EOS()}} {
			for _, id := range ids {
				if id < -1 || int(id) >= tok.VocabSize() {
					t.Errorf("%q became %d of %d", text, id, tok.VocabSize())
				}
			}
			tok.Decode(ids)
		}
	}
	tok.Fingerprint()
}

// FuzzEncode: a text comes back from the tokens of a vocabulary with all bytes, and is the same text to all methods.
func FuzzEncode(f *testing.F) {
	for _, text := range []string{"Toy Story (1995)\r\n", "<|end|> the\n\n\n  Amélie 🇩🇪 'LL ½", "\xff\xfe\x00"} {
		f.Add(text)
	}
	toks := map[string]*tokenizer.Tokenizer{}
	for _, pre := range []string{"gpt-2", "smollm", "llama-bpe"} {
		toks[pre] = open(f, writeGGUF(f, gpt2Metadata(object{"tokenizer.ggml.pre": pre})))
	}
	f.Fuzz(func(t *testing.T, text string) {
		for pre, tok := range toks {
			ids := tok.Encode(text)
			if got := tok.Decode(ids); got != text {
				t.Errorf("%s: %q came back as %q", pre, text, got)
			}
			if slices.Contains(ids, 259) {
				t.Errorf("%s: %q became markup", pre, text)
			}
			if again := tok.Encode(text); !slices.Equal(again, ids) || !slices.Equal(tok.Continue(text), ids) {
				t.Errorf("%s: %q is %v and then %v", pre, text, ids, again)
			}
			if got := tok.DecodeMarkup(tok.EncodeMarkup(text)); got != text {
				t.Errorf("%s: %q came back from markup as %q", pre, text, got)
			}
		}
	})
}
