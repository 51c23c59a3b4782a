package lrurec

import (
	"cmp"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// python runs a script that imports module; what it prints comes back. It skips the test where that is missing.
func python(t *testing.T, module, script string, args ...string) []byte {
	t.Helper()
	bin, err := exec.LookPath(cmp.Or(os.Getenv("MLLM4REC_PYTHON"), "python3"))
	if err != nil {
		t.Skip("needs Python: set MLLM4REC_PYTHON")
	}
	if err := exec.CommandContext(t.Context(), bin, "-c", "import "+module).Run(); err != nil {
		t.Skipf("needs Python's module %s: set MLLM4REC_PYTHON to one that has it", module)
	}
	command := exec.CommandContext(t.Context(), bin, append([]string{"-c", script}, args...)...)
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v", bin, err)
	}
	return out
}

// TestONNXAgrees has ONNX's own checker and shape inference look at the models, and its reference implementation of
// the operators, which shares nothing with ONNX Runtime, compute the scores.
func TestONNXAgrees(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"small", "one_block", "long"} {
		g := openGolden(t, name)
		items, err := json.Marshal(g.items)
		if err != nil {
			t.Fatal(err)
		}
		input := filepath.Join(g.dir, "items.json")
		if err := os.WriteFile(input, items, 0o600); err != nil {
			t.Fatal(err)
		}
		var got []float32
		out := python(t, "onnx", `
import json, sys
import numpy as np, onnx
from onnx.reference import ReferenceEvaluator
for path in sys.argv[1:3]:
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
items = np.array(json.load(open(sys.argv[3])), dtype=np.int64).reshape(int(sys.argv[4]), -1)
(scores,) = ReferenceEvaluator(sys.argv[1]).run(None, {'items': items})
print(json.dumps([s if np.isfinite(s) else -1e30 for s in scores.flatten().tolist()]))
`, g.export(t, Options{Scores: true}, designFor(g.Hidden)), g.export(t, Options{}, designFor(g.Hidden)), input, strconv.Itoa(g.batch))
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatal(err)
		}
		for i, v := range got {
			if v < -1e29 {
				got[i] = float32(math.Inf(-1))
			}
		}
		if d := difference(got, g.masked()); len(got) != len(g.scores) || !(d <= tolerance) {
			t.Errorf("%s: scores differ by %v", name, d)
		}
	}
}
