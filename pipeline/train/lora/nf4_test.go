package lora

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"mllm4rec/export/weights"
)

// nf4Golden is a tensor and what bitsandbytes makes of it.
type nf4Golden struct {
	values, scales, unpacked, table, outer []float32
	packed, codes                          []byte
	offset                                 float32
}

func openNF4(t *testing.T, path string) *nf4Golden {
	t.Helper()
	file, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	floats := func(name string) []float32 {
		values, _, err := file.Float32(name)
		if err != nil {
			t.Fatal(err)
		}
		return values
	}
	bytes := func(name string) []byte {
		tensor, err := file.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		return tensor.Data
	}
	return &nf4Golden{
		values: floats("w"), scales: floats("nf4.absmax"), unpacked: floats("nf4_double.dequantised"), table: floats("nf4_double.absmax_code"),
		outer: floats("nf4_double.absmax_absmax"), packed: bytes("nf4_double.packed"), codes: bytes("nf4_double.absmax"),
		offset: floats("nf4_double.offset")[0],
	}
}

// check compares every bit.
func (g *nf4Golden) check(t *testing.T) {
	t.Helper()
	c, got := packing("nf4", g.values)
	q := c.(*nf4)
	if !slices.Equal(q.packed, g.packed) {
		t.Error("packed weights differ")
	}
	if !slices.Equal(q.codes, g.codes) {
		t.Error("codes of the scales differ")
	}
	sameBits(t, "offset", []float32{q.offset}, []float32{g.offset})
	sameBits(t, "scales of the scales", q.outer, g.outer)
	sameBits(t, "unpacked", got, g.unpacked)
}

func sameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i := range got {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("%s: value %d is %v (%#x), want %v (%#x)", what, i, got[i], math.Float32bits(got[i]), want[i], math.Float32bits(want[i]))
		}
	}
}

// The golden has a row of zeros and one with an outlier.
func TestNF4EqualsBitsandbytes(t *testing.T) {
	t.Parallel()
	g := openNF4(t, filepath.Join("testdata", "nf4.safetensors"))
	sameBits(t, "dynamic map", dynamicMap().values[:], g.table)
	g.check(t)
}

const nf4Script = `
import sys
try:
    import torch
    import bitsandbytes.functional as F
except ImportError:
    sys.exit(77)
torch.set_num_threads(1)
for path in sys.argv[1:]:
    w = torch.frombuffer(bytearray(open(path, 'rb').read()), dtype=torch.float32)
    q, s = F.quantize_4bit(w, blocksize=64, quant_type='nf4', compress_statistics=True)
    d = F.dequantize_4bit(q, s)
    with open(path + '.out', 'wb') as f:
        for x in (q.reshape(-1), s.absmax, s.state2.absmax, s.offset.reshape(1), d):
            f.write(x.contiguous().numpy().tobytes())
`

// TestNF4EqualsBitsandbytesAtAnySize is for whole and half blocks, one and many blocks of scales, all of them zero.
func TestNF4EqualsBitsandbytesAtAnySize(t *testing.T) {
	t.Parallel()
	bin, err := exec.LookPath(cmp.Or(os.Getenv("MLLM4REC_PYTHON"), "python3"))
	if err != nil {
		t.Skip("needs Python: set MLLM4REC_PYTHON")
	}
	dir := t.TempDir()
	args, tensors := []string{"-c", nf4Script}, map[string][]float32{}
	for i, n := range []int{2, 62, 64, 66, 300, 512, 2048, 30 * 1000, 64 * 257, 64 * 1024, 1_000_002} {
		for seed := range uint64(3) {
			path := filepath.Join(dir, fmt.Sprint(i, "-", seed))
			tensors[path] = weightsOf(n, seed+10*uint64(i))
			if seed == 2 && i%2 == 0 {
				clear(tensors[path])
			}
			raw, _ := binary.Append(nil, binary.LittleEndian, tensors[path])
			if err := os.WriteFile(path, raw, 0o600); err != nil {
				t.Fatal(err)
			}
			args = append(args, path)
		}
	}
	command := exec.CommandContext(t.Context(), bin, args...)
	out, err := command.CombinedOutput()
	if command.ProcessState.ExitCode() == 77 {
		t.Skip("needs Python's bitsandbytes: set MLLM4REC_PYTHON to one that has it")
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for path, values := range tensors {
		t.Run(fmt.Sprint(filepath.Base(path), " of ", len(values)), func(t *testing.T) { readNF4(t, path+".out", values).check(t) })
	}
}

// readNF4 cuts what the script wrote.
func readNF4(t *testing.T, path string, values []float32) *nf4Golden {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	bytes := func(n int) []byte {
		part := raw[:n]
		raw = raw[n:]
		return part
	}
	floats := func(n int) []float32 {
		values := make([]float32, n)
		if err := weights.F32.Decode(values, bytes(4*n)); err != nil {
			t.Fatal(err)
		}
		return values
	}
	n, blocks := len(values), (len(values)+63)/64
	g := &nf4Golden{values: values}
	g.packed, g.codes, g.outer = bytes((n+1)/2), bytes(blocks), floats((blocks+255)/256)
	g.offset, g.unpacked = floats(1)[0], floats(n)
	return g
}
