package weights_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mllm4rec/export/weights"
	"mllm4rec/internal/fail"
)

func TestWrittenTensorsReadBackEqual(t *testing.T) {
	t.Parallel()
	dtypes := []weights.DType{"BOOL", "U8", "I8", "U16", "I16", "F16", "BF16", "U32", "I32", "F32", "U64", "I64", "F64"}
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		var tensors []weights.Tensor
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-zäß".<\n]{1,8}`), 0, 6, rapid.ID).Draw(t, "names")
		for _, name := range names {
			tensor := weights.Tensor{Name: name, DType: rapid.SampledFrom(dtypes).Draw(t, "dtype")}
			bytes := tensor.DType.Size()
			for range rapid.IntRange(0, 3).Draw(t, "rank") {
				dim := rapid.Int64Range(0, 4).Draw(t, "dim")
				tensor.Shape = append(tensor.Shape, dim)
				bytes *= dim
			}
			tensor.Data = rapid.SliceOfN(rapid.Byte(), int(bytes), int(bytes)).Draw(t, "data")
			tensors = append(tensors, tensor)
		}
		metadata := rapid.MapOf(rapid.StringN(0, 5, -1), rapid.StringN(0, 5, -1)).Draw(t, "metadata")
		path := filepath.Join(dir, "a.safetensors")
		if err := weights.Write(path, tensors, metadata); err != nil {
			t.Fatal(err)
		}
		first, _ := os.ReadFile(path)
		slices.Reverse(tensors)
		if err := weights.Write(path, tensors, metadata); err != nil {
			t.Fatal(err)
		}
		if second, _ := os.ReadFile(path); !bytes.Equal(first, second) {
			t.Fatal("the order of tensors changed the file")
		}
		f, err := weights.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if fmt.Sprint(f.Metadata()) != fmt.Sprint(metadata) || len(f.Names()) != len(names) {
			t.Fatalf("metadata %v, names %v", f.Metadata(), f.Names())
		}
		for _, want := range tensors {
			got, err := f.Tensor(want.Name)
			if err != nil || got.DType != want.DType || !slices.Equal(got.Shape, want.Shape) || !bytes.Equal(got.Data, want.Data) {
				t.Fatalf("tensor %q: %v, %v", want.Name, got, err)
			}
		}
	})
}

// file makes a safetensors file of a header and data, whatever they hold.
func file(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, data)...)
}

func TestUnsoundFilesAreRefusedSayingWhy(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, want string
		bytes      []byte
	}{
		{"empty file", "a header needs 8", nil},
		{"short file", "a header needs 8", []byte("12345")},
		{"header above its bound", "the most is 100000000", file("", 0xff)[:0:0]},
		{"header behind the end", "the file has", append(binary.LittleEndian.AppendUint64(nil, 99), '{')},
		{"no JSON", "begin with {", file("hello", 0)},
		{"JSON array", "begin with {", file("[]", 0)},
		{"cut JSON", "middle of its JSON", file(`{"a":{"dtype":"F32"`, 0)},
		{"text behind JSON", "closing }", file(`{} {}`, 0)},
		{"invalid UTF-8", "UTF-8", file("{\"\xff\":1}", 0)},
		{"duplicate tensor", `"a" is in the header twice`, file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1)},
		{"duplicate field", `"dtype" is in the header twice`, file(`{"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1)},
		{"metadata that is no text", "is no text", file(`{"__metadata__":{"a":1}}`, 0)},
		{"unknown type", "data type C64 is not one of", file(`{"a":{"dtype":"C64","shape":[1],"data_offsets":[0,8]}}`, 8)},
		{"unknown field", "unknown field", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}}`, 1)},
		{"missing field", "needs dtype", file(`{"a":{"dtype":"U8","shape":[1]}}`, 1)},
		{"negative dimension", "not a whole number", file(`{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}`, 1)},
		{"fractional dimension", "not a whole number", file(`{"a":{"dtype":"U8","shape":[1.5],"data_offsets":[0,1]}}`, 1)},
		{"text as dimension", "not a whole number", file(`{"a":{"dtype":"U8","shape":["1"],"data_offsets":[0,1]}}`, 1)},
		{"shape that overflows", "overflows", file(`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0)},
		{"offsets that do not fit the shape", "needs 4 bytes", file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}}`, 8)},
		{"offsets backwards", "needs 4 bytes", file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[8,4]}}`, 8)},
		{"overlap", "inside the tensor before", file(`{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}`, 6)},
		{"hole", "a hole of 1 bytes", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2)},
		{"bytes behind the last tensor", "the file holds 3", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 3)},
		{"cut data", "cut off", file(`{"a":{"dtype":"F64","shape":[1000000000],"data_offsets":[0,8000000000]}}`, 3)},
		{"nested values", "where { belongs", file(`{"a":`+strings.Repeat("[", 10000), 0)},
	}
	cases[2].bytes = append(binary.LittleEndian.AppendUint64(nil, 1<<60), '{')
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "x.safetensors")
			if err := os.WriteFile(path, c.bytes, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := weights.Open(path)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) || !fail.IsUsage(err) {
				t.Fatalf("%v; want a usage error with %q", err, c.want)
			}
		})
	}
}

func TestWrongTensorsAreNotWritten(t *testing.T) {
	t.Parallel()
	good := weights.FromFloat32("a", []int64{1}, []float32{1})
	cases := map[string][]weights.Tensor{
		"given twice":       {good, good},
		"do not fit":        {{Name: "a", DType: weights.F32, Shape: []int64{2}, Data: make([]byte, 4)}},
		"unknown data type": {{Name: "a", DType: "F7", Shape: []int64{0}}},
		"reserved":          {{Name: "__metadata__", DType: weights.U8, Shape: []int64{0}}},
	}
	for want, tensors := range cases {
		path := filepath.Join(t.TempDir(), "x.safetensors")
		if err := weights.Write(path, tensors, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s: a file was left", want)
		}
	}
}

func TestFloat32WidensEveryFloatingType(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.safetensors")
	half := []uint16{0x3c00, 0x8000, 0x0001, 0x83ff, 0x7bff, 0x7c00, 0xfc00, 0x3555}
	want := []float64{1, math.Copysign(0, -1), 0x1p-24, -1023 * 0x1p-24, 65504, math.Inf(1), math.Inf(-1), 0.333251953125}
	var f16, bf16, f64 []byte
	for i, h := range half {
		f16 = binary.LittleEndian.AppendUint16(f16, h)
		bf16 = binary.LittleEndian.AppendUint16(bf16, uint16(math.Float32bits(float32(i))>>16))
		f64 = binary.LittleEndian.AppendUint64(f64, math.Float64bits(want[i]))
	}
	err := weights.Write(path, []weights.Tensor{
		{Name: "f16", DType: weights.F16, Shape: []int64{8}, Data: f16},
		{Name: "bf16", DType: weights.BF16, Shape: []int64{8}, Data: bf16},
		{Name: "f64", DType: weights.F64, Shape: []int64{8}, Data: f64},
		{Name: "i64", DType: weights.I64, Shape: []int64{1}, Data: make([]byte, 8)},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, name := range []string{"f16", "f64"} {
		got, shape, err := f.Float32(name)
		if err != nil || !slices.Equal(shape, []int64{8}) {
			t.Fatal(name, shape, err)
		}
		for i, g := range got {
			if math.Float32bits(g) != math.Float32bits(float32(want[i])) {
				t.Errorf("%s[%d] = %v, want %v", name, i, g, want[i])
			}
		}
	}
	if got, _, err := f.Float32("bf16"); err != nil || got[7] != 7 {
		t.Errorf("bf16: %v, %v", got, err)
	}
	if _, _, err := f.Float32("i64"); err == nil || !strings.Contains(err.Error(), "I64 where a floating-point") {
		t.Errorf("an integer tensor was read as floats: %v", err)
	}
	if _, _, err := f.Float32("gone"); !fail.IsUsage(err) {
		t.Errorf("a missing tensor: %v", err)
	}
}

func TestDescribeTellsTensorsAndMetadata(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.safetensors")
	tensor := weights.FromFloat32("w", []int64{2, 3}, make([]float32, 6))
	if err := weights.Write(path, []weights.Tensor{tensor}, map[string]string{"by": "me"}); err != nil {
		t.Fatal(err)
	}
	for asJSON, want := range map[bool][]string{
		false: {"1 tensors, 24 bytes", `metadata "by" = "me"`, `"w"  F32  [2 3]  24 bytes`},
		true:  {`"name": "w"`, `"dtype": "F32"`, `"by": "me"`},
	} {
		var b bytes.Buffer
		if err := weights.Describe(&b, path, asJSON); err != nil {
			t.Fatal(err)
		}
		for _, text := range want {
			if !strings.Contains(b.String(), text) {
				t.Errorf("%q is not in\n%s", text, b.String())
			}
		}
	}
}
