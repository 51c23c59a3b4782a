package weights_test

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"mllm4rec/export/weights"
)

// python runs a script with Python's standard library only; what it prints comes back.
func python(t *testing.T, script string, args ...string) string {
	t.Helper()
	bin, err := exec.LookPath(cmp.Or(os.Getenv("MLLM4REC_PYTHON"), "python3"))
	if err != nil {
		t.Skip("no Python: set MLLM4REC_PYTHON to compare with another implementation")
	}
	out, err := exec.CommandContext(t.Context(), bin, append([]string{"-c", script}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

func TestPythonReadsWhatIsWritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.safetensors")
	err := weights.Write(path, []weights.Tensor{
		weights.FromFloat32("layer.weight", []int64{2, 2}, []float32{1, -2.5, 3, 4}),
		{Name: "ids \"ü\"", DType: weights.I64, Shape: []int64{2}, Data: []byte("\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00\x00\x01\x00\x00")},
	}, map[string]string{"format": "pt"})
	if err != nil {
		t.Fatal(err)
	}
	got := python(t, `
import json, struct, sys
b = open(sys.argv[1], 'rb').read()
n = struct.unpack('<Q', b[:8])[0]
h = json.loads(b[8:8 + n])
assert n % 8 == 0
d = b[8 + n:]
at = lambda k: d[slice(*h[k]['data_offsets'])]
print(h['__metadata__'], struct.unpack('<4f', at('layer.weight')), struct.unpack('<2q', at('ids "\u00fc"')), h['layer.weight']['shape'])
`, path)
	if want := "{'format': 'pt'} (1.0, -2.5, 3.0, 4.0) (-1, 1099511627776) [2, 2]\n"; got != want {
		t.Errorf("Python read %q, want %q", got, want)
	}
}

func TestPythonFileIsRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.safetensors")
	python(t, `
import json, struct, sys
h = json.dumps({'w': {'dtype': 'F16', 'shape': [3], 'data_offsets': [0, 6]}, 'e': {'dtype': 'I8', 'shape': [0, 4], 'data_offsets': [6, 6]}}).encode()
open(sys.argv[1], 'wb').write(struct.pack('<Q', len(h)) + h + struct.pack('<3e', 0.5, -1, 65504))
`, path)
	f, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, _, err := f.Float32("w"); err != nil || !slices.Equal(got, []float32{0.5, -1, 65504}) {
		t.Errorf("%v, %v", got, err)
	}
	if e, err := f.Tensor("e"); err != nil || len(e.Data) != 0 {
		t.Errorf("empty tensor: %v, %v", e, err)
	}
}
