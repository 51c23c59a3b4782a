package tokenizer_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func TestTextNeverBecomesMarkup(t *testing.T) {
	t.Parallel()
	file := small()
	model := file["model"].(object)
	// A vocabulary may hold its special tokens, and even merges that make them.
	vocab := model["vocab"].(object)
	vocab["<|end|>"], vocab["<|"], vocab["end"], vocab["en"], vocab["|>"], vocab["<|end"] = 259, 261, 262, 263, 264, 265
	model["merges"] = []string{"< |", "e n", "en d", "| >", "<| end", "<|end |>"}
	for _, whole := range []bool{false, true} {
		model["ignore_merges"] = whole
		tok := open(t, folder(t, object{"tokenizer.json": file}))
		ids := tok.Encode("a<|end|>b")
		if slices.Contains(ids, 259) || tok.Decode(ids) != "a<|end|>b" {
			t.Errorf("%v, %q", ids, tok.Decode(ids))
		}
		ids = tok.EncodeMarkup("a<|end|>b")
		if !slices.Equal(ids, []int32{'a', 259, 'b'}) || tok.Decode(ids) != "ab" || tok.DecodeMarkup(ids) != "a<|end|>b" {
			t.Errorf("markup: %v, %q, %q", ids, tok.Decode(ids), tok.DecodeMarkup(ids))
		}
	}
}

func TestSpacesBesideMarkupGoWithItWhereItSaysSo(t *testing.T) {
	t.Parallel()
	tok := open(t, folder(t, object{"tokenizer.json": with("", "added_tokens", []any{
		object{"id": 259, "content": "<l>", "lstrip": true}, object{"id": 260, "content": "<r>", "rstrip": true},
		object{"id": 261, "content": "<r><l>"},
	})}))
	for text, want := range map[string][]int32{
		"a \t<l> b": {'a', 259, ' ', 'b'}, "a <r>\n b": {'a', ' ', 260, 'b'}, "<r> <l>": {260, 259}, "<r><l>": {261}, " <l>": {259}, "<r> ": {260},
	} {
		if got := tok.EncodeMarkup(text); !slices.Equal(got, want) {
			t.Errorf("EncodeMarkup(%q) is %v, want %v", text, got, want)
		}
	}
}

func TestWordsThatAreTokensAreTakenWhole(t *testing.T) {
	t.Parallel()
	file := small()
	model := file["model"].(object)
	model["vocab"].(object)["Ġwhole"] = 258 + 3
	model["ignore_merges"] = true
	tok := open(t, folder(t, object{"tokenizer.json": file}))
	if got := tok.Encode(" whole the"); !slices.Equal(got, []int32{261, 258}) {
		t.Errorf("%v", got)
	}
}

func TestBytesWithoutATokenBecomeTheUnknownOne(t *testing.T) {
	t.Parallel()
	file := small()
	model := file["model"].(object)
	delete(model["vocab"].(object), "x")
	cases := []struct {
		unknown any
		fuse    bool
		want    []int32
	}{{nil, false, []int32{'a', 'b'}}, {"th", false, []int32{'a', 256, 256, 'b'}}, {"th", true, []int32{'a', 256, 'b'}}}
	for _, c := range cases {
		model["unk_token"], model["fuse_unk"] = c.unknown, c.fuse
		if got := open(t, folder(t, object{"tokenizer.json": file})).Encode("axxb"); !slices.Equal(got, c.want) {
			t.Errorf("unknown %v, joined %v: %v, want %v", c.unknown, c.fuse, got, c.want)
		}
	}
}

func TestTokensAreFoundByTheTextOfTheFile(t *testing.T) {
	t.Parallel()
	tok := open(t, folder(t, object{"tokenizer.json": small()}))
	for text, want := range map[string]int32{"Ġthe": 258, "<|end|>": 259, "Ċ": '\n'} {
		if id, ok := tok.Token(text); !ok || id != want {
			t.Errorf("%s: %d, %v", text, id, ok)
		}
	}
	if _, ok := tok.Token(" the"); ok || tok.VocabSize() != 261 {
		t.Errorf("%d tokens", tok.VocabSize())
	}
}

func TestVocabulariesOfTwoModelsConflict(t *testing.T) {
	t.Parallel()
	own := open(t, writeGGUF(t, gpt2Metadata(nil)))
	renamed := with("", "added_tokens", []any{object{"id": 259, "content": "<|stop|>", "special": true}}) // and one less
	swapped := small()
	swapped["model"].(object)["vocab"].(object)["a"], swapped["model"].(object)["vocab"].(object)["b"] = 'b', 'a'
	for name, c := range map[string]struct {
		file any
		want int32
	}{"the same": {small(), -1}, "special tokens renamed": {renamed, -1}, "two tokens swapped": {swapped, 'a'}} {
		other := open(t, folder(t, object{"tokenizer.json": c.file}))
		if id, found := own.Conflict(other); id != c.want || found != (c.want >= 0) {
			t.Errorf("%s: %d, %v", name, id, found)
		}
		if id, _ := other.Conflict(own); id != c.want {
			t.Errorf("%s, the other way: %d", name, id)
		}
	}
}

func TestFingerprintTellsVocabulariesApart(t *testing.T) {
	t.Parallel()
	of := func(file any) string { return open(t, folder(t, object{"tokenizer.json": file})).Fingerprint() }
	swapped := small()
	vocab := swapped["model"].(object)["vocab"].(object)
	vocab["a"], vocab["b"] = vocab["b"], vocab["a"]
	if a := of(small()); a != of(small()) || a == of(swapped) || len(a) != 64 {
		t.Error(a)
	}
}

// Every text comes back, UTF-8 or not, from a vocabulary that has all bytes.
func TestBytesComeBack(t *testing.T) {
	t.Parallel()
	tok := open(t, folder(t, object{"tokenizer.json": small()}))
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`(the |<\|end\|>|[ \r\n]|é){0,20}`),
			rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "text")
		if got := tok.Decode(tok.Encode(text)); got != text {
			t.Errorf("%q came back as %q", text, got)
		}
		if got := tok.DecodeMarkup(tok.EncodeMarkup(text)); got != text {
			t.Errorf("%q came back from markup as %q", text, got)
		}
	})
}

// The same with SentencePiece's bytes to fall back on, where ▁ stands for a space.
func TestPiecesComeBack(t *testing.T) {
	t.Parallel()
	tok := open(t, llama2(t))
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "text")
		want := strings.ReplaceAll(text, "▁", " ")
		if got := tok.Decode(tok.Encode(text)); got != want {
			t.Errorf("%q came back as %q", text, got)
		}
		if begin, end := tok.Encode("x"), tok.Continue(text); tok.Decode(append(begin, end...)) != "x"+want {
			t.Errorf("%q does not go on", text)
		}
	})
}

func TestLongWordsTakeNoLongerThanTheirLength(t *testing.T) {
	t.Parallel()
	tok := open(t, folder(t, object{"tokenizer.json": small()}))
	text := strings.Repeat("the", 300_000)
	if got := tok.Encode(text); len(got) != 300_000 || tok.Decode(got) != text {
		t.Errorf("%d tokens", len(got))
	}
}

func TestGoroutinesShareATokenizer(t *testing.T) {
	t.Parallel()
	tok := open(t, folder(t, object{"tokenizer.json": small()}))
	texts := []string{"the then", "another 1995 <|end|>", "é the", strings.Repeat("the ", 50)}
	want := make([][]int32, len(texts))
	for i, text := range texts {
		want[i] = tok.EncodeMarkup(text)
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for i := range 400 {
				n := i % len(texts)
				tok.Encode(strings.Repeat("x", i) + texts[n]) // fills the cache
				if got := tok.EncodeMarkup(texts[n]); !slices.Equal(got, want[n]) || tok.DecodeMarkup(got) != texts[n] {
					t.Errorf("%q became %v", texts[n], got)
				}
			}
		})
	}
	group.Wait()
}
