package prompt

import (
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestCleanMakesOneLineOfAnything(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ data, want string }{
		"plain":                       {"Toy Story (1995)", "Toy Story (1995)"},
		"spaces":                      {"  Toy \u00a0\u3000 Story\t", "Toy Story"},
		"line ends of every kind":     {"a\nb\r\nc\u2028d\u2029e\u0085f\vg\fh", "a b c d e f g h"},
		"control characters":          {"a\x00b\x1b[31mc\x7fd", "a b [31mc d"},
		"what turns the direction":    {"abc\u202egnp.exe\u202c \u2066x\u2069 \u200fy\u061c", "abcgnp.exe x y"},
		"right-to-left text":          {"ואלס עם באשיר", "ואלס עם באשיר"},
		"Persian with its joiner":     {"می\u200cخواهم", "می\u200cخواهم"},
		"emoji with its joiner":       {"👩\u200d🚀", "👩\u200d🚀"},
		"invisible characters":        {"a\u200bb\ufeffc\u2060d\u00ade\U000e0041\U000e007ff", "abcdef"},
		"bytes that are no UTF-8":     {"Caf\xe9 \xf0\x9f", "Caf"},
		"the replacement character":   {"a\uFFFDb", "a\uFFFDb"},
		"nothing but control":         {"\x00\n\u202e", ""},
		"nothing":                     {"", ""},
		"braces":                      {"{item} {{.X}} ${y}", "{item} {{.X}} ${y}"},
		"markup of models that chat ": {"<|im_end|>", "<|im_end|>"},
	} {
		if got, cut := clean(c.data, 1000); got != c.want || cut {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestCleanCutsAtTheLimitAndSaysSo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		data, want string
		cut        bool
	}{{"abcd", "abcd", false}, {"abcd \n", "abcd", false}, {"abcde", "abcd", true}, {"abc d", "abc", true}, {"ab d", "ab d", false}, {"éééé\u200b", "éééé", false}, {"ééééé", "éééé", true}} {
		if got, cut := clean(c.data, 4); got != c.want || cut != c.cut {
			t.Errorf("%q: %q %v, want %q %v", c.data, got, cut, c.want, c.cut)
		}
	}
}

func TestDataCannotSpellTheLetterOfACandidate(t *testing.T) {
	t.Parallel()
	tok := tiny(t, nil, false, "")
	for name, c := range map[string]struct{ line, title, want string }{
		"a letter":                       {"({letter})", "Kull (V) (1997)", "Kull [V] (1997)"},
		"a small letter":                 {"({letter})", "x(a)y", "x[a]y"},
		"letters side by side":           {"({letter})", "(A)(B)((C))", "[A][B]([C])"},
		"an invisible one inside":        {"({letter})", "(\u200bA\u202e)", "[A]"},
		"one that NFC makes a K":         {"({letter})", "(\u212a) (\u2126)", "[\u212a] (\u2126)"},
		"a sign that NFC makes":          {"`{letter}`", "\u1fefA\u1fef", "[A]"},
		"numbers and words":              {"({letter})", "(500) Days (TV) ()", "(500) Days (TV) ()"},
		"brackets where the line has ()": {"({letter})", "[A]", "[A]"},
		"square brackets":                {"[{letter}]", "[A] (B)", "(A) (B)"},
		"angle brackets":                 {"<{letter}>", "<A> (B)", "[A] (B)"},
		"stars":                          {"*{letter}*", "*A*B*", "[A]B*"},
		"one sign only":                  {"{letter}.", "Vitamin C. Serum", "Vitamin C. Serum"},
		"words around the letter":        {"Option {letter} is", "Option A is", "Option A is"},
	} {
		b := builder(t, tok, strings.Replace(short, "({letter})", c.line, 1), wide, 2)
		if got := tok.Decode(b.Item(c.title, "").tokens); strings.TrimPrefix(got, " ") != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestItemsAreTitleAndCaption(t *testing.T) {
	t.Parallel()
	tok := tiny(t, nil, false, "")
	b := builder(t, tok, short, Limits{20, 8, 1000}, 2)
	for name, c := range map[string]struct {
		title, caption, want string
		titleCut, captionCut bool
	}{
		"title":                       {"Heat", "", " Heat", false, false},
		"both":                        {"Heat", "a man", " Heat : a man", false, false},
		"no title":                    {"", "a man", " a man", false, false},
		"neither":                     {"\n", "\x00", " untitle", false, false}, // cut as a title would be, but not counted
		"title of exactly the limit":  {"Sevennn", "", " Sevennn", false, false},
		"title above it":              {"Sevennnn", "", " Sevennn", true, false},
		"caption above it":            {"Heat", "two men talk", " Heat : two men", false, true},
		"both above it":               {"The Godfather", "two men talk", " The God : two men", true, true},
		"braces and newlines":         {"{item}", "a\nb{0}", " {item} : a b{0}", false, false},
		"three bytes a character":     {"日本語", "", " 日本", true, false},
		"emoji of four bytes":         {"🎬🎬", "", " 🎬", true, false},
		"characters and half of one":  {"abcdé日", "", " abcdé", true, false},
		"a title that spells markup":  {"<|im_end|>", "", " <|im_en", true, false},
		"a caption that spells a cue": {"", "(A)", " [A]", false, false},
	} {
		text := b.Item(c.title, c.caption)
		if got := tok.DecodeMarkup(text.tokens); got != c.want || text.titleCut != c.titleCut || text.captionCut != c.captionCut {
			t.Errorf("%s: %q %v %v, want %q %v %v", name, got, text.titleCut, text.captionCut, c.want, c.titleCut, c.captionCut)
		}
	}
}

func TestCutTitlesEndWithWholeCharacters(t *testing.T) {
	t.Parallel()
	tok := smol(t)
	rapid.Check(t, func(rt *rapid.T) {
		title := rapid.StringOfN(rapid.RuneFrom([]rune("aé日🎬ש ز")), 1, 60, -1).Draw(rt, "title")
		b, err := New(tok, parsed(t, short), Limits{5, rapid.IntRange(1, 40).Draw(rt, "limit"), 10_000}, 2)
		if err != nil {
			rt.Fatal(err)
		}
		text := b.Item(title, title)
		if got := tok.Decode(text.tokens); !utf8.ValidString(got) && b.limits.TextTokens > utf8.UTFMax {
			rt.Errorf("%d tokens of %q: %q", b.limits.TextTokens, title, got)
		}
		if len(text.tokens) > 2*b.limits.TextTokens+len(b.colon) {
			rt.Errorf("%d tokens", len(text.tokens))
		}
	})
}

// TestLongTitlesCostNoMoreThanShortOnes counts allocations, which is why it runs alone.
func TestLongTitlesCostNoMoreThanShortOnes(t *testing.T) {
	b := builder(t, tiny(t, nil, false, ""), short, Limits{20, 32, 10_000}, 2)
	for name, title := range map[string]string{
		"ten thousand letters":       strings.Repeat("x", 10_000),
		"ten million letters":        strings.Repeat("x", 10_000_000),
		"ten million words":          strings.Repeat("word ", 10_000_000),
		"ten million spaces":         strings.Repeat(" ", 10_000_000) + "x",
		"ten million no characters":  strings.Repeat("\xff", 10_000_000),
		"ten million marks in a row": strings.Repeat("(A)", 10_000_000),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		text := b.Item(title, title)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
			t.Errorf("%s: %d KB", name, used>>10)
		}
		if len(text.tokens) > 2*32+len(b.colon) || slices.Contains(text.tokens, -1) {
			t.Errorf("%s: %d tokens", name, len(text.tokens))
		}
	}
}
