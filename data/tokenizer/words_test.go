package tokenizer

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// cutWords gives the words that a pipeline cuts a text into.
func cutWords(p *pipeline, text string) []string {
	words := []string{p.prepare(text, first)}
	for _, c := range p.cut {
		var next []string
		for _, word := range words {
			for word != "" {
				n := c.words(word)
				next, word = append(next, word[:n]), word[n:]
			}
		}
		words = next
	}
	return words
}

// The words that Oniguruma finds with the same expressions (Python's tokenizers, pre_tokenize_str).
func TestNamesOfPreTokenizersDecideHowWordsAreCut(t *testing.T) {
	t.Parallel()
	const text = "We'LL see'n  e\u0301\u00a0x1995, ½ \n \n2\r\n\t!!\n'ſ-z"
	for name, want := range map[string]string{
		"gpt-2":     "We|'|LL| see|'|n| | e|\u0301|\u00a0|x|1995|,| ½| \n |\n|2|\r\n|\t|!!|\n|'|ſ|-|z",
		"smollm":    "We|'|LL| see|'|n| | e|\u0301|\u00a0|x|1|9|9|5|,| ½| \n |\n|2|\r\n|\t|!!|\n|'|ſ|-|z",
		"llama-bpe": "We|'LL| see|'n| | e|\u0301|\u00a0x|199|5|,| |½| \n \n|2|\r\n|\t|!!\n|'ſ|-z",
		"qwen2":     "We|'LL| see|'n| | é|\u00a0x|1|9|9|5|,| |½| \n \n|2|\r\n|\t|!!\n|'ſ|-z",
	} {
		pre := preByName[name]
		p := pipeline{cut: pre.cut}
		if pre.nfc {
			p.rewrite = []rewriter{nfc}
		}
		if got := strings.Join(cutWords(&p, text), "|"); got != want {
			t.Errorf("%s:\n%q, want\n%q", name, got, want)
		}
	}
}

// Cutting a text at marks only brings words to the cache: the tokens are those of the whole text.
func TestCuttingAtMarksChangesNoToken(t *testing.T) {
	t.Parallel()
	texts := []string{"▁", "a", "b", "▁a", "▁▁", "ab", "▁ab", "▁▁a", "aa"}
	v, err := newVocabulary(int64(len(texts)), len(texts))
	if err != nil {
		t.Fatal(err)
	}
	for id, text := range texts {
		if err := v.add(int32(id), text); err != nil {
			t.Fatal(err)
		}
	}
	plain := slices.Repeat([]bool{true}, len(texts))
	rapid.Check(t, func(t *rapid.T) {
		b := newBPE(&v, plain, false)
		if err := b.allowByScore(&v, plain, rapid.SliceOfN(rapid.Float32Range(0, 5), len(texts), len(texts)).Draw(t, "scores")); err != nil {
			t.Fatal(err)
		}
		if !b.wordsByMark(&v) {
			t.Fatal("no token has a mark behind anything else")
		}
		text := rapid.StringOfN(rapid.SampledFrom([]rune("▁▁ab")), 1, 80, -1).Draw(t, "text")
		p := pipeline{cut: []cutter{{words: splitMarks}}}
		var cut []int32
		for _, word := range cutWords(&p, text) {
			cut = b.encode(cut, word)
		}
		if whole := b.encode(nil, text); !slices.Equal(cut, whole) {
			t.Errorf("%v, whole %v", cut, whole)
		}
	})
}

func TestMarksInsideTokensAreSeen(t *testing.T) {
	t.Parallel()
	v, _ := newVocabulary(4, 4)
	for id, text := range []string{"▁", "a", "a▁", "▁a"} {
		if err := v.add(int32(id), text); err != nil {
			t.Fatal(err)
		}
	}
	plain := []bool{true, true, true, true}
	b := newBPE(&v, plain, false)
	if err := b.allow(&v, plain, "▁", "a", 0); err != nil || !b.wordsByMark(&v) {
		t.Error("▁a may be cut before", err)
	}
	if err := b.allow(&v, plain, "a", "▁", 1); err != nil || b.wordsByMark(&v) {
		t.Error("a▁ may not be cut inside", err)
	}
}

// The heap for long words and the search for short ones do the same, by random merges of random ranks.
func TestLongWordsMergeAsShortOnes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := bpe{merges: map[pair]merge{}}
		id := rapid.Int32Range(0, 4)
		for range rapid.IntRange(0, 25).Draw(t, "merges") {
			b.merges[pair{id.Draw(t, "left"), id.Draw(t, "right")}] = merge{rank: rapid.Int32Range(0, 6).Draw(t, "rank"), id: id.Draw(t, "id")}
		}
		ids := rapid.SliceOfN(id, 0, shortWord).Draw(t, "ids")
		long := b.mergeLong(slices.Clone(ids))
		if short := b.mergeAll(slices.Clone(ids)); !slices.Equal(short, long) {
			t.Errorf("%v becomes %v, as a long word %v", ids, short, long)
		}
	})
}

// Splitters end words between characters, go on, and leave nothing out.
func TestSplittersEndWordsBetweenCharacters(t *testing.T) {
	t.Parallel()
	all := []splitter{splitGPT2, splitters[patternLlama3], splitters[patternQwen2], splitDigits(true), splitDigits(false), splitDecimals, splitMarks, splitEachMark}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		for i, split := range all {
			for rest := text; rest != ""; {
				n := split(rest)
				if n <= 0 || n > len(rest) || n < len(rest) && !utf8.RuneStart(rest[n]) {
					t.Fatalf("splitter %d: a word of %d bytes of %q", i, n, rest)
				}
				rest = rest[n:]
			}
		}
	})
}

func TestRowsOfCombiningMarksGetNothingBetween(t *testing.T) {
	t.Parallel()
	text := "A" + strings.Repeat("\u0302", 100)
	if got, want := nfc(text), "Â"+strings.Repeat("\u0302", 99); got != want {
		t.Errorf("%q", got)
	}
	if got := nfc("A\u030a\u034f"); got != "Å\u034f" {
		t.Errorf("%q", got)
	}
}
