package prompt

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"mllm4rec/internal/fail"
)

func TestEveryBuiltInTemplateHasAShortBeginningAndAllLetters(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"beauty", "games", "general", "movies", "toys"} {
		if !slices.Contains(Names(), name) {
			t.Errorf("no template %s", name)
		}
	}
	tok := smol(t)
	for _, name := range Names() {
		template, err := Load(name)
		if err != nil {
			t.Fatal(err)
		}
		b, err := New(tok, template, wide, len(Letters))
		if err != nil {
			t.Fatal(err)
		}
		if n := len(b.Prefix()); n > 60 {
			t.Errorf("%s: the beginning has %d tokens", name, n)
		}
		if template.Name() != name {
			t.Errorf("%s calls itself %s", name, template.Name())
		}
	}
}

func TestWrongTemplatesSayWhereAndWhat(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"empty":                        {"", "no line for the history"},
		"no candidates":                {"({number}) {item}\n{answer}", "no line for the candidates"},
		"no history":                   {"({letter}) {item}\n{answer}", "no line for the history"},
		"no answer":                    {"({number}) {item}\n({letter}) {item}\nIt is", "no {answer}"},
		"text behind the answer":       {short + ")", "{answer} is not at the end"},
		"answer before candidates":     {"{answer}\n({number}) {item}\n({letter}) {item}", "{answer} is not at the end"},
		"candidates before history":    {"({letter}) {item}\n({number}) {item}\n{answer}", "the candidates stand before the history"},
		"two lines for the history":    {"- {item}\n" + short, "line 3: a second line"},
		"two answers":                  {"{answer}\n" + short, "a second line"},
		"two answers in a line":        {short + "{answer}", "line 5: "},
		"an unknown placeholder":       {"{titel}\n" + short, "line 1: {titel} is no placeholder"},
		"a placeholder in capitals":    {"{Item}\n" + short, "line 1: {Item} is no placeholder"},
		"number behind the item":       {"{item} {number}\n({letter}) {item}\n{answer}", "line 1: "},
		"number and letter":            {"{number} {letter} {item}\n({letter}) {item}\n{answer}", "line 1: "},
		"item and answer in a line":    {"({number}) {item}\n({letter}) {item} {answer}", "line 2: "},
		"no space before the item":     {"({number}){item}\n({letter}) {item}\n{answer}", "line 1: {item} needs a space before it"},
		"another letter's signs":       {"({number}) {item}\n({letter}) {item} [{letter}]\n{answer}", "line 2: the letter behind {item} stands between the same two signs"},
		"a second letter without any":  {"({number}) {item}\n{letter} {item} {letter}\n{answer}", "line 2: the letter behind {item}"},
		"three letters":                {"({number}) {item}\n({letter}) {item} ({letter}) ({letter})\n{answer}", "line 2: the history's line has"},
		"dated and undated":            {"({number}) {undated}\n({letter}) {item}\n{answer}", "it has {item} and {undated}"},
		"item at the beginning":        {"{item}\n({letter}) {item}\n{answer}", "line 1: {item} needs a space before it"},
		"a control character":          {"a\x1b[2J\n" + short, "line 1 holds the control character '\\x1b'"},
		"a carriage return in between": {"a\rb\n" + short, "control character '\\r'"},
		"a null":                       {short[:5] + "\x00" + short[5:], "control character"},
		"bytes that are no UTF-8":      {"\xff\n" + short, "not UTF-8"},
		"too long":                     {strings.Repeat("x", maxTemplateBytes) + short, "this is no template"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := parse("mine.txt", c.text)
			wantError(t, err, c.want)
			if !fail.IsUsage(err) || !strings.HasPrefix(err.Error(), "prompt template mine.txt: ") {
				t.Errorf("%v is no usage error that names the template", err)
			}
		})
	}
}

func TestANamedPipeIsNoTemplateAndHoldsUpNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	_, err := Load(path)
	wantError(t, err, "it is not a file")
}

func TestLoadReadsFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "mine.txt")
	if err := os.WriteFile(path, []byte(short+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	template, err := Load(path)
	if err != nil || template.Name() != path {
		t.Fatal(template, err)
	}
	_, err = Load("nowhere")
	wantError(t, err, "prompt template nowhere: no such file, and no built-in template (beauty, games, general, movies, toys)")
	_, err = Load(dir)
	wantError(t, err, "it is not a file")
	_, err = Load("")
	wantError(t, err, "no such file")
	_, err = Load("../prompt/templates/movies")
	wantError(t, err, "no such file")
}

func TestFingerprintIsThatOfTheWords(t *testing.T) {
	t.Parallel()
	want := parsed(t, short).Fingerprint()
	for name, text := range map[string]string{
		"Windows line ends": strings.ReplaceAll(short, "\n", "\r\n"), "a newline at the end": short + "\n", "a byte order mark": "\uFEFF" + short,
	} {
		if parsed(t, text).Fingerprint() != want {
			t.Errorf("%s: another fingerprint", name)
		}
	}
	if parsed(t, "x"+short).Fingerprint() == want {
		t.Error("another text, the same fingerprint")
	}
}

// FuzzTemplate: a template is refused in one line, or makes prompts in which every item stands on a line of its own.
func FuzzTemplate(f *testing.F) {
	for _, name := range Names() {
		text, err := builtIn.ReadFile("templates/" + name + ".txt")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text), "Heat (B)")
	}
	f.Add("<|im_start|>user\n- {item} -\n[{letter}]: {item}.\nAnswer: {answer}", "x\ny")
	f.Add("{number} {item}\n{letter} {item}\n{answer}", "{item}")
	f.Add("{undated}{number}", "Heat (1995)")
	f.Add("{number} {item}\n({letter}) {item} ({letter}).\n{answer}", "Heat (A)")
	tok := tiny(f, []string{"x A"}, true, "")
	f.Fuzz(func(t *testing.T, text, title string) {
		template, err := parse("fuzz", text)
		if err == nil {
			_, err = New(tok, template, Limits{3, 50, 1000}, 3)
		}
		if err != nil {
			if !fail.IsUsage(err) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%q", err)
			}
			return
		}
		b := builder(t, tok, text, Limits{3, 50, 1000}, 3)
		items := []Text{b.Item(title, title), b.Item("", title), b.Item(title, "")}
		if _, err := b.Build(items, items); err != nil {
			return // candidates that are too long
		}
		got := read(t, b, items[:2], items)
		if want := strings.Count(template.text, "\n") + 1 + 1 + 2; strings.Count(got, "\n")+1 != want {
			t.Fatalf("%d lines, want %d:\n%s", strings.Count(got, "\n")+1, want, got)
		}
	})
}
