package llama

import (
	"cmp"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"mllm4rec/export/matrix"
	"mllm4rec/export/weights"
	"mllm4rec/internal/testkit"
)

// python runs a script that imports modules ("torch, peft"); what it prints comes back. It skips the test where one is
// missing.
func python(t *testing.T, modules, script string, args ...string) []byte {
	t.Helper()
	bin, err := exec.LookPath(cmp.Or(os.Getenv("MLLM4REC_PYTHON"), "python3"))
	if err != nil {
		t.Skip("needs Python: set MLLM4REC_PYTHON")
	}
	if err := exec.CommandContext(t.Context(), bin, "-c", "import "+modules).Run(); err != nil {
		t.Skipf("needs Python with %s: set MLLM4REC_PYTHON to one that has them", modules)
	}
	command := exec.CommandContext(t.Context(), bin, append([]string{"-c", script}, args...)...)
	out, err := command.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		t.Fatalf("%s: %v\n%s", bin, err, exit.Stderr)
	}
	return testkit.Must(out, err)(t)
}

// fileOf writes v as JSON and returns where.
func fileOf(t testing.TB, v any) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "input.json")
	if err := os.WriteFile(path, testkit.Must(json.Marshal(v))(t), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestPeftLoadsOurAdapters has Hugging Face's Transformers and peft load the models and the adapters that Write made, and
// compares scores of prompts of odd lengths, up to the longest that the models read.
func TestPeftLoadsOurAdapters(t *testing.T) {
	t.Parallel()
	var prompts [][]int32
	for _, length := range []int{1, 2, 3, 7, 31, 64, 127, 255, 256} {
		prompt := make([]int32, length)
		for i := range prompt {
			prompt[i] = int32((i*i*5 + i*length + 3) % 64)
		}
		prompts = append(prompts, prompt)
	}
	type job struct {
		Model, Adapter string
		Letters        []int32
	}
	var jobs []job
	var all []golden
	for _, name := range goldens {
		g := openGolden(t, name)
		dir := filepath.Join(t.TempDir(), "adapter")
		if err := g.adapter.Write(dir, g.dir, weights.F32); err != nil {
			t.Fatal(err)
		}
		all, jobs = append(all, g), append(jobs, job{g.dir, dir, g.letters})
	}
	out := python(t, "torch, transformers, peft", `
import json, sys
import torch
from transformers import AutoModelForCausalLM
from peft import PeftModel
torch.set_num_threads(1)
jobs, prompts = json.load(open(sys.argv[1]))
out = []
for job in jobs:
    model = AutoModelForCausalLM.from_pretrained(job['Model'], dtype=torch.float32).eval()
    model = PeftModel.from_pretrained(model, job['Adapter']).eval()
    with torch.inference_mode():
        out.append([model(input_ids=torch.tensor([p])).logits[0, -1, job['Letters']].tolist() for p in prompts])
print(json.dumps(out))
`, fileOf(t, []any{jobs, prompts}))
	var want [][][]float32
	if err := json.Unmarshal(out, &want); err != nil {
		t.Fatal(err)
	}
	for i, g := range all {
		m := exported(t, g.ck, g.adapter, Options{Precision: FP32, Letters: g.letters})
		for j, prompt := range prompts {
			got, _ := m.run(t, nil, prompt)
			near(t, goldens[i]+", "+string(testkit.Must(json.Marshal(len(prompt)))(t))+" tokens", got[0], want[i][j], tolerance)
		}
	}
}

// TestONNXCheckerAcceptsTheGraph has ONNX's own checker look at the graphs. It knows none of com.microsoft's operators, and
// passes over them.
func TestONNXCheckerAcceptsTheGraph(t *testing.T) {
	t.Parallel()
	var paths []string
	for _, name := range goldens {
		g := openGolden(t, name)
		for _, precision := range matrix.Precisions() {
			path := filepath.Join(t.TempDir(), "ranker.onnx")
			if err := Export(t.Context(), g.ck, g.adapter, path, Options{Precision: precision, Letters: g.letters}); err != nil {
				t.Fatal(err)
			}
			paths = append(paths, path)
		}
	}
	python(t, "onnx", `
import onnx, sys
for path in sys.argv[1:]:
    model = onnx.load(path)
    for node in model.graph.node:
        if node.op_type == 'SimplifiedLayerNormalization':
            node.domain = 'com.microsoft' # where ONNX Runtime does not look for it
    onnx.checker.check_model(model, full_check=False)
`, paths...)
}

// TestSmolLM2ScoresEqualHuggingFace compares the real model, from the same GGUF file.
func TestSmolLM2ScoresEqualHuggingFace(t *testing.T) {
	if testing.Short() {
		t.Skip("two times 135 million weights")
	}
	path := smollm2(t)
	letters := []int32{330, 347, 366, 378, 414, 426, 452, 458, 339, 508}
	prompt := make([]int32, 75)
	for i := range prompt {
		prompt[i] = int32(i*i*i*131%49152 + 1)
	}
	out := python(t, "torch, transformers, gguf, accelerate", `
import json, os, sys
import torch
from transformers import AutoModelForCausalLM
path, given = sys.argv[1:]
letters, prompt = json.load(open(given))
torch.set_num_threads(1)
model = AutoModelForCausalLM.from_pretrained(os.path.dirname(path), gguf_file=os.path.basename(path), dtype=torch.float32).eval()
with torch.inference_mode():
    print(json.dumps(model(input_ids=torch.tensor([prompt]), logits_to_keep=1).logits[0, -1, letters].tolist()))
`, path, fileOf(t, []any{letters, prompt}))
	var want []float32
	if err := json.Unmarshal(out, &want); err != nil {
		t.Fatal(err)
	}
	m := exported(t, open(t, path), nil, Options{Precision: FP32, Letters: letters})
	got, _ := m.run(t, nil, prompt)
	near(t, "whole", got[0], want, 1e-3)
	_, before := m.run(t, nil, prompt[:40])
	got, _ = m.run(t, before, prompt[40:])
	near(t, "cut at 40", got[0], want, 1e-3)
	t.Logf("largest difference %v", apart(got[0], want))
}
