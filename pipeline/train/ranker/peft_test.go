package ranker

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"mllm4rec/export/weights"
	"mllm4rec/pipeline/worker"
)

// script computes with Hugging Face and peft the logits after prompts, for the tokens of a head, and the mean loss of each
// with its answers as labels.
const script = `
import json, sys, torch
from peft import PeftModel
from transformers import AutoModelForCausalLM
base, adapter, path = sys.argv[1:]
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), adapter).eval()
out = {"logits": [], "losses": []}
with torch.no_grad():
    for s in json.load(open(path)):
        prompt = torch.tensor([s["prompt"]])
        out["logits"].append(model(input_ids=prompt).logits[0, -1].tolist())
        ids = torch.tensor([s["prompt"] + s["answers"]])
        labels = torch.tensor([[-100] * len(s["prompt"]) + s["answers"]])
        out["losses"].append(model(input_ids=ids, labels=labels).loss.item())
print(json.dumps(out))
`

type asked struct {
	Prompt  []int32 `json:"prompt"`
	Answers []int32 `json:"answers"`
}

type answered struct {
	Logits [][]float64 `json:"logits"`
	Losses []float64   `json:"losses"`
}

// peft runs the script, or skips.
func peft(t *testing.T, base, adapter string, prompts []asked) (a answered) {
	t.Helper()
	python := os.Getenv("MLLM4REC_PYTHON")
	if python == "" {
		python = "python3"
	}
	if err := exec.Command(python, "-c", "import torch, transformers, peft").Run(); err != nil {
		t.Skipf("no torch, transformers and peft in %s; MLLM4REC_PYTHON names another Python", python)
	}
	text, err := json.Marshal(prompts)
	must(t, err)
	path := filepath.Join(t.TempDir(), "prompts.json")
	must(t, os.WriteFile(path, text, 0o600))
	var stderr bytes.Buffer
	cmd := exec.Command(python, "-c", script, base, adapter, path)
	cmd.Env, cmd.Stderr = append(os.Environ(), "HF_HUB_OFFLINE=1"), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	must(t, json.Unmarshal(out, &a))
	return a
}

func TestAdapterGivesTheSameLogitsAndLossInPeft(t *testing.T) {
	spec := tiny(t)
	spec.Loss, spec.Targets, spec.Rank, spec.Dropout = "causal", worker.RankerTargets, 4, 0
	made := open(t, spec)
	for step := range 8 {
		_, _, err := made.Step(t.Context(), step)
		must(t, err)
	}
	dir := t.TempDir()
	must(t, made.model.Adapter().Write(dir, spec.Base, weights.F32))
	samples, err := made.batch(0)
	must(t, err)
	var prompts []asked
	for _, s := range samples {
		prompts = append(prompts, asked{s.Tokens[:len(s.Tokens)-1], s.Answers})
	}
	want := peft(t, spec.Base, dir, prompts)
	mean := 0.0
	for i, p := range prompts {
		logits, err := made.model.Score(t.Context(), [][]int32{p.Prompt})
		must(t, err)
		for token, x := range logits[0] {
			if math.Abs(float64(x)-want.Logits[i][token]) > 1e-3 {
				t.Fatalf("prompt %d: the logit of token %d is %v, peft's %v", i, token, x, want.Logits[i][token])
			}
		}
		mean += want.Losses[i] / float64(len(prompts))
	}
	loss, _, err := made.Step(t.Context(), 0)
	must(t, err)
	if math.Abs(loss-mean) > 1e-4 {
		t.Errorf("the loss is %v, peft's %v", loss, mean)
	}
}
