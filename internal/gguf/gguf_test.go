package gguf_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"mllm4rec/internal/fail"
	"mllm4rec/internal/gguf"
	"mllm4rec/internal/gguf/gguftest"
)

// every holds a value of every kind.
var every = []any{
	"u8", uint8(200), "i8", int8(-3), "u16", uint16(60000), "i16", int16(-300), "u32", uint32(1 << 31),
	"i32", int32(-70000), "u64", uint64(1) << 63, "i64", int64(-1) << 40, "f32", float32(1e-5), "f64", 0.1,
	"yes", true, "text", "ü \x00 \xff", "empty", "", "texts", []string{"a", "", "b\n"}, "bools", []bool{true, false},
	"u8s", []uint8{1, 255}, "i8s", []int8{-1}, "u16s", []uint16{65535}, "i16s", []int16{-2}, "u32s", []uint32{4000000000},
	"i32s", []int32{-1, 2}, "u64s", []uint64{5}, "i64s", []int64{-5}, "f32s", []float32{0.5}, "f64s", []float64{0.25},
	"none", []string{}, "nested", []any{[]int32{1, 2}, []string{"x"}},
}

func TestMetadataOfEveryKindReadsBack(t *testing.T) {
	t.Parallel()
	f, err := gguf.Open(gguftest.Write(t, every, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if len(f.Metadata) != len(every)/2 || f.Version != 3 || len(f.Tensors) != 0 {
		t.Errorf("%d keys, version %d, %d tensors", len(f.Metadata), f.Version, len(f.Tensors))
	}
	for i := 0; i < len(every); i += 2 {
		if got := f.Metadata[every[i].(string)]; !reflect.DeepEqual(got, every[i+1]) {
			t.Errorf("%s: %#v, want %#v", every[i], got, every[i+1])
		}
	}
	if keys := f.Metadata.Keys(); !slices.IsSorted(keys) || len(keys) != len(every)/2 {
		t.Errorf("keys %v", keys)
	}
}

func TestMetadataIsReadAsWhatItMeans(t *testing.T) {
	t.Parallel()
	f, err := gguf.Open(gguftest.Write(t, every, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m := f.Metadata
	for key, want := range map[string]int64{"u8": 200, "i8": -3, "u16": 60000, "i16": -300, "u32": 1 << 31, "i32": -70000, "i64": -1 << 40} {
		if got, err := m.Int(key); err != nil || got != want {
			t.Errorf("%s: %d, %v", key, got, err)
		}
	}
	if got, err := m.Float("f32"); err != nil || got != 1e-5 {
		t.Errorf("f32: %v, %v", got, err)
	}
	for key, want := range map[string][]int64{"u8s": {1, 255}, "i32s": {-1, 2}, "u32s": {4000000000}, "i64s": {-5}} {
		if got, err := m.Ints(key); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v", key, got, err)
		}
	}
	if got, err := m.Strings("texts"); err != nil || len(got) != 3 {
		t.Errorf("texts: %v, %v", got, err)
	}
	if got, err := m.Floats("f32s"); err != nil || !slices.Equal(got, []float32{0.5}) {
		t.Errorf("f32s: %v, %v", got, err)
	}
	if got, err := m.Bool("yes"); err != nil || !got {
		t.Error(got, err)
	}
}

func TestMetadataThatIsAbsentOrOfAnotherKindIsNamed(t *testing.T) {
	t.Parallel()
	f, err := gguf.Open(gguftest.Write(t, every, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m := f.Metadata
	_, missing := m.String("gone")
	_, negative := m.Uint("i8")
	_, large := m.Int("u64")
	_, number := m.String("u8")
	_, word := m.Int("text")
	_, whole := m.Float("u32")
	_, texts := m.Ints("texts")
	for want, err := range map[string]error{
		`"gone" is missing`: missing, `"i8" is -3`: negative, `"u64" holds uint64`: large, `"u8" holds uint8 where a text`: number,
		`"text" holds string where a whole`: word, `"u32" holds uint32 where a number with a fraction`: whole, `"texts" holds []string`: texts,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
}

func TestTensorsReadBackInRowMajorShape(t *testing.T) {
	t.Parallel()
	quant := bytes.Repeat([]byte{1, 2, 3}, 2*3*18)[:2*3*18]
	f, err := gguf.Open(gguftest.Write(t, every[:2], []gguftest.Tensor{
		gguftest.F32("w", []int64{2, 3}, []float32{1, 2, 3, 4, 5, 6}),
		{Name: "q", Type: 2, Shape: []int64{2, 96}, Data: quant},
		gguftest.F32("scalar", nil, []float32{7}),
		gguftest.F32("nothing", []int64{0, 4}, nil),
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	q, err := f.Tensor("q")
	if err != nil || q.Type.String() != "Q4_0" || !slices.Equal(q.Shape, []int64{2, 96}) || q.Bytes() != 108 || q.Elements() != 192 {
		t.Fatalf("%+v, %v", q, err)
	}
	if got, err := io.ReadAll(f.Section(q)); err != nil || !bytes.Equal(got, quant) {
		t.Errorf("section: %v, %v", got, err)
	}
	err = f.View(q, func(blocks []byte) error {
		if !bytes.Equal(blocks, quant) {
			t.Error("view: other bytes")
		}
		return nil
	})
	if err != nil || !f.Has("nothing") || f.Has("other") {
		t.Error(err)
	}
	if _, err := f.Tensor("other"); !fail.IsUsage(err) || !strings.Contains(err.Error(), `no tensor "other"`) {
		t.Error(err)
	}
}

// edit makes a small sound file and changes it: by is given the bytes.
func edit(by func(b []byte) []byte) []byte {
	return by(gguftest.Bytes([]any{"k", uint32(5)}, []gguftest.Tensor{gguftest.F32("w", []int64{8}, make([]float32, 8))}))
}

// put writes a number at a place of the file. The small file has its counts at 8 and 16, the length of its first key at
// 24, the kind of the value at 33, the name length of its tensor at 41, dimensions at 50, columns at 54, type at 62,
// offset at 66; it is 128 bytes long. (Of two tensors and no key, the second offset is at 82.)
func put(at int, value uint64, bytes int) func(b []byte) []byte {
	return func(b []byte) []byte {
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], value)
		copy(b[at:], word[:bytes])
		return b
	}
}

func TestUnsoundFilesAreRefusedSayingWhy(t *testing.T) {
	t.Parallel()
	twin := func(second string) []byte {
		return gguftest.Bytes(nil, []gguftest.Tensor{gguftest.F32("a", []int64{8}, make([]float32, 8)), gguftest.F32(second, []int64{8}, make([]float32, 8))})
	}
	aligned := func(value any) []byte { return gguftest.Bytes([]any{"general.alignment", value}, nil) }
	deep := []any{[]any{[]any{[]any{[]any{[]int32{1}}}}}}
	cases := []struct {
		name, want string
		bytes      []byte
	}{
		{"empty", `begin with "GGUF"`, nil},
		{"another format", `begin with "GGUF"`, []byte("GGML123456789")},
		{"short header", "ends there", []byte("GGUF\x03\x00\x00\x00\x01")},
		{"version 1", "version is 1", edit(put(4, 1, 4))},
		{"version 4", "version is 4", edit(put(4, 4, 4))},
		{"big-endian", "big-endian", edit(put(4, 3<<24, 4))},
		{"absurd tensor count", "damaged", edit(put(8, 1<<60, 8))},
		{"tensor count above the file", "claims 9999 tensors", edit(put(8, 9999, 8))},
		{"key count above the file", "claims 9999 metadata keys", edit(put(16, 9999, 8))},
		{"key longer than the file", "a text of 1152921504606846976 bytes", edit(put(24, 1<<60, 8))},
		{"unknown kind", "kind 77, which the format does not have", edit(put(33, 77, 4))},
		{"truth value of 5", "truth value of 5", edit(put(33, 7, 4))},
		{"array beyond the file", "an array of", edit(func(b []byte) []byte { return put(41, 1<<50, 8)(put(37, 4, 4)(put(33, 9, 4)(b))) })},
		{"array of an unknown kind", "an array of kind 99", edit(func(b []byte) []byte { return put(37, 99, 4)(put(33, 9, 4)(b)) })},
		{"arrays too deep", "deep", gguftest.Bytes([]any{"k", deep}, nil)},
		{"key twice", `("k") is there twice`, gguftest.Bytes([]any{"k", true, "k", true}, nil)},
		{"tensor twice", `"a" is in the table twice`, twin("a")},
		{"five dimensions", "5 dimensions", edit(put(50, 5, 4))},
		{"dimension above 63 bits", "too large", edit(put(54, 1<<63, 8))},
		{"shape that overflows", "overflows", edit(put(54, 1<<62, 8))},
		{"unknown type", "type 4242, which this program does not know", edit(put(62, 4242, 4))},
		{"rows of part of a block", "not whole blocks of 32 (Q8_0)", edit(put(62, 8, 4))},
		{"offset above 63 bits", "too large", edit(put(66, 1<<63, 8))},
		{"offset off the alignment", "no multiple of the alignment", edit(put(66, 8, 8))},
		{"offset behind the end", "cut off or damaged", edit(put(66, 1<<40, 8))},
		{"data cut off", `"w": takes 32 bytes from byte 96 on, the file has 127`, edit(func(b []byte) []byte { return b[:127] })},
		{"table cut off", "ends there", edit(func(b []byte) []byte { return b[:70] })},
		{"overlap", "begins inside another", put(82, 0, 8)(twin("b"))},
		{"alignment 0", "multiple of 8", aligned(uint32(0))},
		{"alignment 12", "multiple of 8", aligned(uint32(12))},
		{"alignment that is a text", "where a whole number belongs", aligned("32")},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "x.gguf")
			if err := os.WriteFile(path, c.bytes, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := gguf.Open(path)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) || !fail.IsUsage(err) {
				t.Fatalf("%v; want a usage error with %q", err, c.want)
			}
		})
	}
}

func TestFilesThatAreNoneAreTheCallersMistake(t *testing.T) {
	t.Parallel()
	for _, path := range []string{t.TempDir(), filepath.Join(t.TempDir(), "gone.gguf")} {
		if _, err := gguf.Open(path); !fail.IsUsage(err) || !strings.Contains(err.Error(), path) {
			t.Error(err)
		}
	}
}
