package run

import (
	"strings"
	"testing"

	"mllm4rec/export/llama"
	"mllm4rec/export/llama/llamatest"
)

func TestAModelThatDoesNotFitInFloat32IsNotCompared(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := llamatest.Write(dir, 1); err != nil {
		t.Fatal(err)
	}
	base, err := llama.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	const most = 300_000 // twice the 95 KB of the layers and of the embedding, which the tied head counts again
	if err := float32Fits(base, dir, most); err != nil {
		t.Error(err)
	}
	if err := float32Fits(base, dir, most/2); err == nil || !strings.Contains(err.Error(), "of memory") {
		t.Error(err)
	}
}
