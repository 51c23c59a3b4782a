package prompt

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"mllm4rec/data/tokenizer"
	"mllm4rec/internal/fail"
)

func TestPromptReadsAsTheTemplateSays(t *testing.T) {
	t.Parallel()
	tok := tiny(t, []string{"Ġ A", "Ġ B", "Ġ C"}, true, "")
	b := builder(t, tok, "<|im_start|>\nYou sell { things }.\nSold:\n#{number} {item};\nWho\nknows?\n[{letter}] {item}.\n\nAnswer: {answer}", wide, 3)
	got := read(t, b, []Text{b.Item("Heat", "two men"), b.Item("Seven\n[A]", "")}, b.items("Alien", "{item}", "<|im_end|>"))
	want := "<|begin|><|im_start|>\nYou sell { things }.\nSold:\n#1 Heat : two men;\n#2 Seven (A);\nWho\nknows?\n" +
		"[A] Alien.\n[B] {item}.\n[C] <|im_end|>.\n\nAnswer:"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if letters := tok.DecodeMarkup(b.Letters()); letters != " A B C" {
		t.Errorf("letters %q", letters)
	}
}

func TestALetterMayCloseItsCandidateToo(t *testing.T) {
	t.Parallel()
	b := builder(t, tiny(t, nil, false, ""), "Seen:\n({number}) {item}\nNext:\n({letter}) {item} ({letter})\nIt is ({answer}", wide, 3)
	for i, want := range []string{"(A) Heat (A)", "(A) Heat (A)\n(B) Heat [A] (B)", "(A) Heat (A)\n(B) Heat [A] (B)\n(C) Heat (C)"} {
		got := read(t, b, b.items("Alien"), b.items("Heat", "Heat (A)", "Heat")[:i+1])
		if want := "Seen:\n(1) Alien\nNext:\n" + want + "\nIt is ("; got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
}

func TestUndatedTitlesHaveNoYear(t *testing.T) {
	t.Parallel()
	b := builder(t, tiny(t, nil, false, ""), strings.ReplaceAll(short, "{item}", "{undated}"), wide, 3)
	got := read(t, b, b.items("Heat (1995)"), b.items("1984 (1984) ", "Blade Runner 2049", " (1999)"))
	if want := "Seen:\n(1) Heat\nNext:\n(A) 1984\n(B) Blade Runner 2049\n(C) untitled\nIt is ("; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestPiecesAreTokenisedAsTheWholeTextIs holds for byte-level vocabularies that part words from signs; whoever trains
// elsewhere on the plain text of a prompt then trains on the same tokens.
func TestPiecesAreTokenisedAsTheWholeTextIs(t *testing.T) {
	t.Parallel()
	tok := smol(t)
	titles := []string{"Toy Story (1995)", "12 Monkeys (1995)", "M*A*S*H", "Don't Look Now", "Amélie", "七人の侍 (1954)", "…And Justice for All", "'Til There Was You"}
	for _, name := range Names() {
		template, err := Load(name)
		if err != nil {
			t.Fatal(err)
		}
		b, err := New(tok, template, wide, 8)
		if err != nil {
			t.Fatal(err)
		}
		p, err := b.Build(b.items(titles...), []Text{b.Item("Heat (1995)", "two men"), b.Item("Alien", "an egg, dark")})
		if err != nil {
			t.Fatal(err)
		}
		if whole := tok.EncodeMarkup(tok.DecodeMarkup(p.Tokens)); !slices.Equal(whole, p.Tokens) {
			t.Errorf("%s: other tokens than those of the whole text", name)
		}
	}
}

func TestPrefixIsTheLongestCommonBeginning(t *testing.T) {
	t.Parallel()
	for name, tok := range map[string]*tokenizer.Tokenizer{"with BOS": tiny(t, nil, true, ""), "without": tiny(t, nil, false, "")} {
		b := builder(t, tok, short, wide, 2)
		candidates := b.items("x", "y")
		one, err := b.Build(b.items("Alien"), candidates)
		if err != nil {
			t.Fatal(err)
		}
		two, err := b.Build(b.items("", "Heat"), candidates)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for n < len(one.Tokens) && one.Tokens[n] == two.Tokens[n] {
			n++
		}
		// With this vocabulary every title begins with the token of a space; with real ones "Alien" has it in its first token.
		if n != len(b.Prefix())+1 {
			t.Errorf("%s: prompts share %d tokens, the prefix has %d", name, n, len(b.Prefix()))
		}
	}
}

func TestHistoryGivesWayFromTheLeft(t *testing.T) {
	t.Parallel()
	tok := tiny(t, nil, false, "")
	titles := strings.Fields("one two three four five")
	text := func(kept ...string) string {
		out := "Seen:"
		for i, title := range kept {
			out += fmt.Sprintf("\n(%d) %s", i+1, title)
		}
		return out + "\nNext:\n(A) six\n(B) seven\nIt is ("
	}
	whole := len(text(titles...)) // a byte is a token
	for name, c := range map[string]struct {
		limits Limits
		want   []string
		cut    int
	}{
		"all fits exactly":             {Limits{5, 9, whole}, titles, 0},
		"one token short":              {Limits{5, 9, whole - 1}, titles[1:], 1},
		"the history's limit":          {Limits{2, 9, whole}, titles[3:], 0},
		"both limits":                  {Limits{3, 9, len(text(titles[3:]...)) + 2}, titles[3:], 1},
		"room for the latest only":     {Limits{5, 9, len(text("five"))}, titles[4:], 4},
		"more history than there is":   {Limits{1000, 9, whole}, titles, 0},
		"far more than the prompt has": {Limits{1 << 40, 9, whole}, titles, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := builder(t, tok, short, c.limits, 2)
			p, err := b.Build(b.items(titles...), b.items("six", "seven"))
			if err != nil {
				t.Fatal(err)
			}
			if got, want := tok.Decode(p.Tokens), text(c.want...); got != want || p.Cut != (Cut{History: c.cut}) {
				t.Errorf("%+v\n%s\nwant %d\n%s", p.Cut, got, c.cut, want)
			}
		})
	}
	b := builder(t, tok, short, Limits{5, 9, len(text("five")) - 1}, 2)
	_, err := b.Build(b.items(titles...), b.items("six", "seven"))
	wantError(t, err, "raise ranker.max_tokens, or lower ranker.title_tokens")
	if !fail.IsUsage(err) {
		t.Errorf("%v is no usage error", err)
	}
}

func TestCutTitlesAndCaptionsOfWhatIsShownAreCounted(t *testing.T) {
	t.Parallel()
	b := builder(t, tiny(t, nil, false, ""), short, Limits{2, 4, 1000}, 2)
	long := b.Item("a long title", "a long caption")
	p, err := b.Build([]Text{long, b.Item("x", "a long caption"), b.Item("x", "")}, []Text{long, b.Item("x", "y")})
	if err != nil {
		t.Fatal(err)
	}
	if want := (Cut{Titles: 1, Captions: 2}); p.Cut != want { // the first item of the history is not shown
		t.Errorf("%+v, want %+v", p.Cut, want)
	}
	sum := Cut{1, 2, 3}
	sum.Add(p.Cut)
	if want := (Cut{2, 4, 3}); sum != want {
		t.Errorf("%+v, want %+v", sum, want)
	}
}

func TestBuildRefuses(t *testing.T) {
	t.Parallel()
	b := builder(t, tiny(t, nil, false, ""), short, wide, 2)
	three := b.items("x", "y", "z")
	for name, c := range map[string]struct {
		history, candidates []Text
		want                string
	}{
		"an empty history":                  {nil, three[:2], "the history is empty"},
		"no candidates":                     {three, nil, "0 candidates, and the prompt has room for 1 to 2"},
		"more candidates than are prepared": {three, three, "3 candidates, and the prompt has room for 1 to 2"},
	} {
		_, err := b.Build(c.history, c.candidates)
		if wantError(t, err, c.want); !fail.IsUsage(err) {
			t.Errorf("%s: no usage error", name)
		}
	}
	if got := read(t, b, three[:1], three[:1]); !strings.Contains(got, "(A) x\nIt is (") { // a short list
		t.Error(got)
	}
}

// TestNothingInDataForgesALine writes what strangers may write into titles and captions: whatever it is, the prompt has
// the template's lines, one mark a candidate, and no markup but the template's.
func TestNothingInDataForgesALine(t *testing.T) {
	t.Parallel()
	hostile := []string{"\n", "\r\n", "\u2028", "\x85", "\v", "(", ")", "A", "(B)", "(\u200bC)", "{item}", "{letter}", "{answer}", "<|im_end|>", "<|im_start|>", "\u202e", "\x00", "It is (", " : ", "x", "ש", "\xff"}
	for name, tok := range map[string]*tokenizer.Tokenizer{"tiny": tiny(t, nil, false, ""), "SmolLM2": smol(t)} {
		b := builder(t, tok, "<|im_start|>"+short, wide, 3)
		start, _ := tok.Token("<|im_start|>")
		rapid.Check(t, func(rt *rapid.T) {
			item := rapid.Custom(func(rt *rapid.T) Text {
				text := rapid.Map(rapid.SliceOfN(rapid.SampledFrom(hostile), 0, 12), func(parts []string) string { return strings.Join(parts, "") })
				return b.Item(text.Draw(rt, "title"), text.Draw(rt, "caption"))
			})
			history, candidates := rapid.SliceOfN(item, 1, 4).Draw(rt, "history"), rapid.SliceOfN(item, 3, 3).Draw(rt, "candidates")
			p, err := b.Build(history, candidates)
			if err != nil {
				rt.Fatal(err)
			}
			got := tok.DecodeMarkup(p.Tokens)
			if lines := strings.Count(got, "\n"); lines != len(history)+5 {
				rt.Errorf("%s: %d lines:\n%s", name, lines, got)
			}
			for i := range Letters {
				mark := "(" + Letters[i:i+1] + ")"
				if n, want := strings.Count(got, mark), strings.Count("\n(A)\n(B)\n(C)", mark); n != want {
					rt.Errorf("%s: %d times %s:\n%s", name, n, mark, got)
				}
			}
			for _, c := range "\u202e\x00\x85\u2028" {
				if strings.ContainsRune(got, c) {
					rt.Errorf("%s: holds %q", name, c)
				}
			}
			if i := slices.Index(p.Tokens[1:], start); i >= 0 || strings.Contains(tok.Decode(p.Tokens), "<|im_start|>Seen") {
				rt.Errorf("%s: markup at %d", name, i)
			}
			if end, _ := tok.Token("<|im_end|>"); slices.Contains(p.Tokens, end) {
				rt.Errorf("%s: a title ends the turn", name)
			}
		})
	}
}

func TestBuildersMayBeUsedAtOnce(t *testing.T) {
	t.Parallel()
	b := builder(t, tiny(t, nil, false, ""), short, wide, 2)
	want := read(t, b, b.items("Heat"), b.items("x", "y"))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				if p, err := b.Build(b.items("Heat"), b.items("x", "y")); err != nil || b.tok.DecodeMarkup(p.Tokens) != want {
					t.Error(err, p)
				}
			}
		})
	}
	all.Wait()
}

func BenchmarkBuild(b *testing.B) {
	build := builder(b, tiny(b, nil, false, ""), short, wide, 20)
	items := build.items(strings.Fields(strings.Repeat("title ", 20))...)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := build.Build(items, items); err != nil {
			b.Fatal(err)
		}
	}
}

func TestSharedTokensAreThoseOfTheHistoryAlone(t *testing.T) {
	t.Parallel()
	for _, limits := range []Limits{wide, {History: 3, TextTokens: 20, PromptTokens: 400}} {
		b := builder(t, tiny(t, nil, true, ""), short, limits, 3)
		history := b.items("Alien", "Heat", "Seven", "Brazil")
		first, err := b.Build(history, b.items("Cube", "Dune"))
		if err != nil {
			t.Fatal(err)
		}
		second, err := b.Build(history, b.items("Amélie"))
		if err != nil {
			t.Fatal(err)
		}
		if first.Items != min(4, limits.History) || first.Shared != second.Shared || !slices.Equal(first.Tokens[:first.Shared], second.Tokens[:second.Shared]) {
			t.Errorf("%d items, the first %d and %d tokens differ", first.Items, first.Shared, second.Shared)
		}
		if text := b.Text(Prompt{Tokens: first.Tokens[:first.Shared]}); !strings.Contains(text, "Brazil") || !strings.HasSuffix(text, "A)") {
			t.Errorf("shared is %q", text)
		}
	}
}
