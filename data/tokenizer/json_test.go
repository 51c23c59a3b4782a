package tokenizer_test

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"mllm4rec/data/tokenizer"
	"mllm4rec/internal/fail"
)

// with sets one key of a part of small to another value; part "" is the file itself.
func with(part, key string, value any) map[string]any {
	file := small()
	if part != "" {
		file[part].(map[string]any)[key] = value
		return file
	}
	file[key] = value
	return file
}

type object = map[string]any

func TestFilesThatAreNotKnownAreRefusedByName(t *testing.T) {
	t.Parallel()
	sequence := func(name string, parts ...any) object { return object{"type": "Sequence", name: parts} }
	split := func(pattern object, behavior string) object {
		return object{"type": "Split", "pattern": pattern, "behavior": behavior, "invert": false}
	}
	digits, level := object{"type": "Digits", "individual_digits": true}, small()["decoder"]
	added := func(token object) map[string]any { return with("", "added_tokens", []any{token}) }
	cases := []struct {
		name, want string
		file       any
	}{
		{"no JSON", "not a sound JSON file", []byte("{")},
		{"a list", "not a sound JSON file", []byte("[]")},
		{"WordPiece", `kind "WordPiece"; only BPE`, with("", "model", object{"type": "WordPiece", "vocab": object{"a": 0}})},
		{"Unigram", `kind "Unigram"; only BPE`, with("", "model", object{"type": "Unigram", "vocab": []any{[]any{"a", 0.5}}})},
		{"no model", `kind ""`, with("", "model", object{})},
		{"dropout", "dropout of 0.1", with("model", "dropout", 0.1)},
		{"word ends", `end_of_word_suffix "</w>"`, with("model", "end_of_word_suffix", "</w>")},
		{"bytes twice", "byte_fallback", with("model", "byte_fallback", true)},
		{"unknown token unknown", `unk_token "<unk>"`, with("model", "unk_token", "<unk>")},
		{"no vocabulary", "model.vocab is empty", with("model", "vocab", object{})},
		{"vocabulary of texts", "model.vocab", with("model", "vocab", object{"a": "b"})},
		{"negative id", "model.vocab", with("model", "vocab", object{"a": -1})},
		{"huge id", "an id of 4000000000", with("model", "vocab", object{"a": 4000000000})},
		{"id twice", "both have the id 1", with("model", "vocab", object{"a": 1, "b": 1})},
		{"empty token", "token 0 is empty", with("model", "vocab", object{"": 0})},
		{"no merges", "model.merges", with("model", "merges", object{})},
		{"merge of three", `"t h e" has not two parts`, with("model", "merges", []any{"t h e"})},
		{"merge of numbers", "model.merges", with("model", "merges", []any{[]int{1, 2}})},
		{"merge to no token", "number 0: the merge of", with("model", "merges", []any{"h e"})},
		{"added token at another's id", "both have the id 5", added(object{"id": 5, "content": "<x>"})},
		{"added token twice", "has the ids 256 and 300", added(object{"id": 300, "content": "th"})},
		{"added token far away", "an id of 2000000", added(object{"id": 2000000, "content": "<x>"})},
		{"added token of single words", "single_word", added(object{"id": 259, "content": "<x>", "single_word": true})},
		{"empty added token", "token 259 is empty", added(object{"id": 259, "content": ""})},
		{"lower case", `normalizer "Lowercase"`, with("", "normalizer", object{"type": "Lowercase"})},
		{"compatibility", `normalizer "NFKC"`, with("", "normalizer", sequence("normalizers", object{"type": "NFC"}, object{"type": "NFKC"}))},
		{"replacing words", `replaces "ab" by "c"`, with("", "normalizer", object{"type": "Replace", "pattern": object{"String": "ab"}, "content": "c"})},
		{"replacing patterns", `replaces "a+" by "b"`, with("", "normalizer", object{"type": "Replace", "pattern": object{"Regex": "a+"}, "content": "b"})},
		{"late prepend", `normalizer "Prepend"`, with("", "normalizer", sequence("normalizers", object{"type": "NFC"}, object{"type": "Prepend", "prepend": "x"}))},
		{"prepend to bytes", `puts "x" before`, with("", "normalizer", object{"type": "Prepend", "prepend": "x"})},
		{"another pre-tokenizer", `pre-tokenizer "Whitespace"`, with("", "pre_tokenizer", object{"type": "Whitespace"})},
		{"another expression", `splits by "\\d+"`, with("", "pre_tokenizer", sequence("pretokenizers", split(object{"Regex": `\d+`}, "Isolated"), level))},
		{"split by text", `splits by "x"`, with("", "pre_tokenizer", split(object{"String": "x"}, "Isolated"))},
		{"another behavior", `"MergedWithNext"`, with("", "pre_tokenizer", split(object{"Regex": gpt2Pattern}, "MergedWithNext"))},
		{"behind bytes", `"Digits" comes behind ByteLevel`, with("", "pre_tokenizer", sequence("pretokenizers", level, digits))},
		{"late Metaspace", "Metaspace", with("", "pre_tokenizer", sequence("pretokenizers", digits, object{"type": "Metaspace", "replacement": "▁"}))},
		{"another mark", `puts "_"`, with("", "pre_tokenizer", object{"type": "Metaspace", "replacement": "_"})},
		{"another scheme", `prepend_scheme "last"`, with("", "pre_tokenizer", object{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "last"})},
		{"too many parts", "33 normalizers", with("", "pre_tokenizer", sequence("pretokenizers", slices.Repeat([]any{digits}, 33)...))},
		{"another decoder", `decoder "CTC"`, with("", "decoder", object{"type": "CTC"})},
		{"no decoder", "decoder undoes neither", with("", "decoder", nil)},
		{"a decoder of other tokens", `decoder "Metaspace"`, with("", "decoder", object{"type": "Metaspace", "replacement": "▁"})},
		{"another template", `post-processor "RobertaProcessing"`, with("", "post_processor", object{"type": "RobertaProcessing", "sep": []any{"</s>", 2}})},
		{"a template of no token", "begins texts with token 999", with("", "post_processor", template("<x>", 999))},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(folder(t, object{"tokenizer.json": c.file}), "tokenizer.json")
			_, err := tokenizer.Open(path)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) || !fail.IsUsage(err) {
				t.Errorf("%v; want a usage error with %q", err, c.want)
			}
		})
	}
}

const gpt2Pattern = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

// TestManyPartsTakeNoMemory does not run beside other tests: it counts bytes.
func TestManyPartsTakeNoMemory(t *testing.T) {
	data := []byte(`{"normalizer": {"type": "Sequence", "normalizers": [` + strings.Repeat("{},", 1<<21) + `{}]}}`)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := tokenizer.Parse(data)
	runtime.ReadMemStats(&after)
	if !fail.IsUsage(err) || !strings.Contains(err.Error(), "524288 are allowed") {
		t.Error(err)
	}
	if taken := after.TotalAlloc - before.TotalAlloc; taken > 64<<20 { // gigabytes once they are taken apart
		t.Errorf("took %d bytes to refuse it", taken)
	}
}

// template is a post-processor that puts a token before a text, and one behind it.
func template(name string, id int) object {
	token := object{"SpecialToken": object{"id": name, "type_id": 0}}
	return object{
		"type": "TemplateProcessing", "single": []any{token, object{"Sequence": object{"id": "A", "type_id": 0}}, token},
		"special_tokens": object{name: object{"id": name, "ids": []int{id}, "tokens": []string{name}}},
	}
}

func TestPathsThatHoldNoTokenizerAreTheCallersMistake(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	large := filepath.Join(t.TempDir(), "tokenizer.json")
	if err := os.WriteFile(large, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, 129<<20); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(empty, "gone"): "no such file", empty: "holds no tokenizer.json", large: "above 128 MB",
		folder(t, object{"tokenizer.json": []byte("\x00")}): "not a sound JSON file",
	} {
		if _, err := tokenizer.Open(path); !fail.IsUsage(err) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%v; want %q", err, want)
		}
	}
}
