package run

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mllm4rec/export/llama"
	"mllm4rec/export/llama/llamatest"
	"mllm4rec/internal/fail"
)

func TestAVocabularyOfAnotherModelIsRefusedWhereTheBaseTells(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := llamatest.Write(dir, 1); err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(dir, "tokenizer.json")
	text, err := os.ReadFile(own)
	if err != nil {
		t.Fatal(err)
	}
	edited := func(edits ...string) string {
		path := filepath.Join(t.TempDir(), "tokenizer.json")
		if err := os.WriteFile(path, []byte(strings.NewReplacer(edits...).Replace(string(text))), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	swapped := edited(`"a": 97`, `"a": 98`, `"b": 98`, `"b": 97`)
	base, err := llama.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	check := func(path string) error {
		return load(t, "ranker.base="+dir, "ranker.tokenizer="+path).checkVocabulary(base)
	}
	for name, path := range map[string]string{"none": "", "the same": edited(), "a special token renamed": edited("<|pad|>", "<|gap|>")} {
		if err := check(path); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := check(swapped); !fail.IsUsage(err) || !strings.Contains(err.Error(), swapped+": its token 97 is another one than that of "+dir) {
		t.Error(err)
	}
	if err := os.Remove(own); err != nil {
		t.Fatal(err)
	}
	if err := check(swapped); err != nil {
		t.Errorf("nothing to compare with: %v", err)
	}
}
