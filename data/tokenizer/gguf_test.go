package tokenizer_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"mllm4rec/data/tokenizer"
	"mllm4rec/internal/fail"
)

// llama2Metadata turns Llama 2's tokenizer.json into what its GGUF file has: scores instead of merges.
func llama2Metadata(t testing.TB, path string) []any {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Model struct{ Vocab map[string]int }
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	n := len(file.Model.Vocab)
	tokens, scores, kinds := make([]string, n), make([]float32, n), make([]int32, n)
	for text, id := range file.Model.Vocab {
		tokens[id], scores[id], kinds[id] = text, float32(259-id), 1
		if id < 259 {
			scores[id], kinds[id] = 0, 6
		}
	}
	copy(kinds, []int32{2, 3, 3})
	return []any{
		"tokenizer.ggml.model", "llama", "tokenizer.ggml.tokens", tokens, "tokenizer.ggml.scores", scores, "tokenizer.ggml.token_type", kinds,
		"tokenizer.ggml.bos_token_id", uint32(1), "tokenizer.ggml.eos_token_id", uint32(2), "tokenizer.ggml.add_bos_token", true,
	}
}

func TestLlama2FromScoresIsTokenExact(t *testing.T) {
	t.Parallel()
	path := llama2(t)
	tok := open(t, writeGGUF(t, llama2Metadata(t, path)))
	compare(t, tok, readVectors(t, shared(t, "llama2.json")))
	if tok.Fingerprint() != open(t, path).Fingerprint() {
		t.Error("a vocabulary has two fingerprints, one in a GGUF file and another in its tokenizer.json")
	}
	if !slices.Equal(tok.Start(), []int32{1}) || tok.EOS() != 2 {
		t.Errorf("starts with %v, ends with %d", tok.Start(), tok.EOS())
	}
}

func TestScoresDecideWhatIsMergedAndThenTheLeft(t *testing.T) {
	t.Parallel()
	tok := open(t, writeGGUF(t, pieceMetadata(nil)))
	for text, want := range map[string][]int32{
		"abc":     {5, 11, 8},         // ab before bc and ▁a
		"bc a":    {5, 12, 13},        // ▁ bc ▁a
		"é":       {5, 3, 4},          // bytes
		"日日a":     {5, 0, 6},          // no bytes: one unknown for the row
		"<s>":     {5, 0, 14},         // never the token <s>: unknown, s>
		"aab":     {13, 11},           // ▁a ab
		"":        nil,                //
		" a":      {5, 13},            // ▁ ▁a
		"a▁b":     {13, 5, 7},         // a mark is a space
		"\n":      {5, 0},             // no byte of its own here
		"bab":     {5, 7, 11},         //
		"abab":    {5, 11, 11},        //
		"s>s>":    {5, 14, 14},        //
		"cé\xffc": {5, 8, 3, 4, 0, 8}, // not UTF-8: a byte without a token
	} {
		if got := tok.Encode(text); !slices.Equal(got, want) {
			t.Errorf("Encode(%q) is %v, want %v", text, got, want)
		}
	}
	if got := tok.Continue("abc"); !slices.Equal(got, []int32{11, 8}) {
		t.Errorf("Continue puts something before: %v", got)
	}
	if got := tok.EncodeMarkup("a<s>a"); !slices.Equal(got, []int32{13, 1, 13}) {
		t.Errorf("markup: %v", got)
	}
	if got := tok.Decode([]int32{1, 13, 11, 3, 4, 2, 99, -1}); got != "aabé" {
		t.Errorf("decoded: %q", got)
	}
}

func TestBytesFromGGUFAreAsFromJSON(t *testing.T) {
	t.Parallel()
	fromGGUF, fromJSON := open(t, writeGGUF(t, gpt2Metadata(nil))), open(t, folder(t, map[string]any{"tokenizer.json": small()}))
	if fromGGUF.Fingerprint() != fromJSON.Fingerprint() {
		t.Error("two fingerprints")
	}
	for _, text := range []string{"the then <|end|> <tool> é \xff", "  the", "1the"} {
		if got, want := fromGGUF.EncodeMarkup(text), fromJSON.EncodeMarkup(text); !slices.Equal(got, want) {
			t.Errorf("EncodeMarkup(%q) is %v, want %v", text, got, want)
		}
		ids := fromJSON.EncodeMarkup(text)
		if got, want := fromGGUF.Decode(ids), fromJSON.Decode(ids); got != want || fromGGUF.DecodeMarkup(ids) != text {
			t.Errorf("Decode(%q) is %q, want %q", text, got, want)
		}
	}
	if fromGGUF.BOS() != -1 || fromGGUF.EOS() != 259 || fromGGUF.Start() != nil {
		t.Errorf("%d, %d, %v", fromGGUF.BOS(), fromGGUF.EOS(), fromGGUF.Start())
	}
}

func TestStartOfGGUF(t *testing.T) {
	t.Parallel()
	bos := map[string]any{"tokenizer.ggml.bos_token_id": uint32(259)}
	with := func(key string, value any) map[string]any {
		return map[string]any{"tokenizer.ggml.bos_token_id": uint32(259), key: value}
	}
	cases := []struct {
		name     string
		metadata []any
		want     []int32
	}{
		{"bytes", gpt2Metadata(bos), nil},
		{"bytes that ask for it", gpt2Metadata(with("tokenizer.ggml.add_bos_token", true)), []int32{259}},
		{"Llama 3", gpt2Metadata(with("tokenizer.ggml.pre", "llama-bpe")), []int32{259}},
		{"pieces", pieceMetadata(nil), []int32{1}},
		{"pieces without", pieceMetadata(map[string]any{"tokenizer.ggml.add_bos_token": false}), nil},
		{"pieces that have none", pieceMetadata(map[string]any{"tokenizer.ggml.bos_token_id": nil}), nil},
	}
	for _, c := range cases {
		if got := open(t, writeGGUF(t, c.metadata)).Start(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestVocabulariesInGGUFThatAreNotKnownAreRefusedByName(t *testing.T) {
	t.Parallel()
	gpt2 := func(key string, value any) []any { return gpt2Metadata(map[string]any{"tokenizer.ggml." + key: value}) }
	pieces := func(key string, value any) []any {
		return pieceMetadata(map[string]any{"tokenizer.ggml." + key: value})
	}
	cases := []struct {
		name, want string
		metadata   []any
	}{
		{"no vocabulary", `"tokenizer.ggml.model" is missing`, []any{"general.architecture", "llama"}},
		{"WordPiece", `kind "bert"`, gpt2("model", "bert")},
		{"Unigram", `kind "t5"`, pieces("model", "t5")},
		{"other words", `"tekken"`, gpt2("pre", "tekken")},
		{"words of any model", `"default" (tokenizer.ggml.pre)`, gpt2("pre", "default")},
		{"words not told", `"" (tokenizer.ggml.pre)`, gpt2("pre", nil)},
		{"no merges", `"tokenizer.ggml.merges" is missing`, gpt2("merges", nil)},
		{"merge of one part", `"th", has not two parts`, gpt2("merges", []string{"th"})},
		{"merge to no token", `"h" and "e"`, gpt2("merges", []string{"h e"})},
		{"kinds missing", "token_type", gpt2("token_type", nil)},
		{"kinds of other tokens", "261 tokens and the kinds of 1", gpt2("token_type", []int32{1})},
		{"kind unknown", "is of kind 9", pieces("token_type", slices.Repeat([]int32{9}, 15))},
		{"no tokens", "0 tokens", pieceMetadata(map[string]any{"tokenizer.ggml.tokens": []string{}, "tokenizer.ggml.token_type": []int32{}})},
		{"token twice", `"a" has the ids 0 and 1`, pieceMetadata(map[string]any{"tokenizer.ggml.tokens": []string{"a", "a"}, "tokenizer.ggml.token_type": []int32{1, 1}})},
		{"scores of other tokens", "15 tokens and the scores of 1", pieces("scores", []float32{1})},
		{"BOS outside", "is 99; the vocabulary has 15", pieces("bos_token_id", uint32(99))},
		{"EOS negative", "is -1", pieces("eos_token_id", int32(-1))},
		{"BOS asked for and absent", "no file says which", gpt2("add_bos_token", true)},
		{"spaces dropped", "drops spaces", pieces("remove_extra_whitespaces", true)},
		{"token of a kilobyte", "1024 bytes", pieceMetadata(map[string]any{
			"tokenizer.ggml.tokens": []string{strings.Repeat("a", 1024)}, "tokenizer.ggml.token_type": []int32{1}, "tokenizer.ggml.scores": []float32{0}})},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := writeGGUF(t, c.metadata)
			_, err := tokenizer.Open(path)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) || !fail.IsUsage(err) {
				t.Errorf("%v; want a usage error with %q", err, c.want)
			}
		})
	}
}
