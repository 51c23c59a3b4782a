package prompt

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

func TestTemplatesInTheDocumentationWork(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/prompts.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```template\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 2 {
		t.Errorf("%d templates, want 2", len(blocks))
	}
	tok := smol(t)
	for _, block := range blocks {
		if _, err := New(tok, parsed(t, block[1]), wide, len(Letters)); err != nil {
			t.Error(err)
		}
	}
	for _, name := range Names() {
		if !strings.Contains(string(text), "| `"+name+"` |") {
			t.Errorf("docs/prompts.md does not list %s", name)
		}
	}
}
