package tokenizer_test

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestTokensOfManyKindsEqualHuggingFace(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath(cmp.Or(os.Getenv("MLLM4REC_PYTHON"), "python3"))
	if err != nil || exec.CommandContext(t.Context(), python, "-c", "import tokenizers").Run() != nil {
		t.Skip("no Python with tokenizers: set MLLM4REC_PYTHON to compare with it")
	}
	folder := t.TempDir()
	args := []string{filepath.Join("testdata", "huggingface.py"), folder}
	path := sharedPath(filepath.Join("llama2", "tokenizer.json"))
	if _, err := os.Stat(path); err == nil {
		args = append(args, path)
	}
	if out, err := exec.CommandContext(t.Context(), python, args...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil || len(files) < 15 {
		t.Fatalf("%d kinds, %v", len(files), err)
	}
	for _, file := range files {
		name := filepath.Base(file[:len(file)-len(".json")])
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			compare(t, open(t, filepath.Join(folder, name)), readVectors(t, file))
		})
	}
}
