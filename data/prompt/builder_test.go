package prompt

import (
	"slices"
	"strings"
	"testing"

	"mllm4rec/data/tokenizer"
	"mllm4rec/internal/fail"
	"mllm4rec/internal/testkit"
)

func TestLettersAreTheTokensThatFollowTheCue(t *testing.T) {
	t.Parallel()
	tok := tiny(t, []string{"Ġ A", "Ġ B"}, false, "")
	for name, c := range map[string]struct{ cue, a, b string }{
		"behind a bracket": {"It is ({answer}", "A", "B"},
		"behind a space":   {"It is {answer}", "ĠA", "ĠB"}, // the space is the letter's, as in plain text
		"on its own line":  {"It is\n{answer}", "A", "B"},
		"behind markup":    {"<|im_end|>{answer}", "A", "B"},
	} {
		b := builder(t, tok, strings.Replace(short, "It is ({answer}", c.cue, 1), wide, 2)
		first, _ := tok.Token(c.a)
		second, _ := tok.Token(c.b)
		if !slices.Equal(b.Letters(), []int32{first, second}) {
			t.Errorf("%s: %v, want %d and %d", name, b.Letters(), first, second)
		}
	}
}

func TestLettersThatAreNoTokensAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		merges       []string
		without, cue string
		candidates   int
		want         string
	}{
		"a letter that joins the cue":          {[]string{"x A"}, "", "Is it x{answer}", 5, `the letter A is no token of its own behind "\nIs it x"`},
		"a later letter that joins it":         {[]string{"x D"}, "", "Is it x{answer}", 5, "end the template with another cue, such as \"({answer}\", or set candidates.k to 3"},
		"a space that joins no letter":         {[]string{"Ġ A"}, "", "Is it {answer}", 5, "the letter B is no token of its own"},
		"a letter that the vocabulary has not": {nil, "E", "Is it ({answer}", 5, "the letter E is no token of its own"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tok := tiny(t, c.merges, false, c.without)
			template := parsed(t, strings.Replace(short, "It is ({answer}", c.cue, 1))
			_, err := New(tok, template, wide, c.candidates)
			if wantError(t, err, c.want); !fail.IsUsage(err) {
				t.Errorf("%v is no usage error", err)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	tok := tiny(t, nil, false, "")
	least := len("Seen:\n(1)" + "\nNext:\n(A)" + "\n(B)" + "\nIt is (")
	for name, c := range map[string]struct {
		text       string
		limits     Limits
		candidates int
		want       string
	}{
		"one candidate":                {short, wide, 1, "there are letters for 2 to 52"},
		"more candidates than letters": {short, wide, 53, "there are letters for 2 to 52"},
		"no history":                   {short, Limits{0, 1, 1}, 2, "at least 1"},
		"no tokens of a title":         {short, Limits{1, 0, 1}, 2, "at least 1"},
		"a negative length":            {short, Limits{1, 1, -1}, 2, "at least 1"},
		"no room":                      {short, Limits{1, 1, least + 2}, 2, "takes 31 tokens before there are any titles, more than 33: raise ranker.max_tokens"},
		"another model's markup":       {"<|start_header_id|>" + short, wide, 2, "<|start_header_id|> is no token of this tokenizer"},
	} {
		_, err := New(tok, parsed(t, c.text), c.limits, c.candidates)
		if wantError(t, err, c.want); !fail.IsUsage(err) {
			t.Errorf("%s: no usage error", name)
		}
	}
	if _, err := New(tok, parsed(t, short), Limits{1, 1, least + 3}, 2); err != nil {
		t.Error(err)
	}
}

func TestTheBeginningIsThereOnceThoughTheTemplateSpellsIt(t *testing.T) {
	t.Parallel()
	tok := tiny(t, nil, true, "")
	if b := builder(t, tok, "<|begin|>"+short, wide, 2); !slices.Equal(b.Prefix(), builder(t, tok, short, wide, 2).Prefix()) {
		t.Errorf("%s", tok.DecodeMarkup(b.Prefix()))
	}
}

func TestSentencePiecesLettersFollowTheCueToo(t *testing.T) {
	t.Parallel()
	tok, err := tokenizer.Open(testkit.Shared(t, "goldens", "tokenizer", "llama2", "tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range Names() {
		template, err := Load(name)
		if err != nil {
			t.Fatal(err)
		}
		b, err := New(tok, template, wide, len(Letters))
		if err != nil {
			t.Fatal(err)
		}
		if a, _ := tok.Token("A"); b.Letters()[0] != a { // not ▁A
			t.Errorf("%s: %d, want %d", name, b.Letters()[0], a)
		}
		p, err := b.Build(b.items("Toy Story (1995)", "Heat"), b.items("Alien", "12 Monkeys"))
		if err != nil {
			t.Fatal(err)
		}
		if whole := tok.EncodeMarkup(tok.DecodeMarkup(p.Tokens)); !slices.Equal(whole, p.Tokens) {
			t.Errorf("%s: other tokens than those of the whole text", name)
		}
	}
}
