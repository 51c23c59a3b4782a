package modelfile

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"mllm4rec/internal/fail"
)

const huge = 1 << 40

func TestHostileFilesAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "the file is empty"},
		{"a text", []byte("hello, this is no model\n"), "ONNX file"},
		{"cut short", modelOf(tensorOf(1, []int64{2}, message(9, make([]byte, 8))))[:60], "cut short"},
		{"a group, which onnx.proto has none of", protowire.AppendTag(nil, 7, protowire.StartGroupType), "ONNX file"},
		{"no graph", contract(), "holds no graph"},
		{"two graphs", join(modelOf(), message(7)), "two graphs"},
		{"graph that is a number", join(contract(), number(7, 1)), "want a message"},
		{"no contract", message(7), "no mllm4rec.format"},
		{"format of another version", join(entry(14, FormatKey, "2"), message(7)), `mllm4rec.format is "2", but this program reads "1"`},
		{"unknown kind", join(entry(14, FormatKey, "1"), entry(14, KindKey, "time machine"), message(7)), `mllm4rec.kind is "time machine", but this program knows retriever`},
		{"metadata twice", join(modelOf(), entry(14, KindKey, "retriever")), "stands there twice"},
		{"metadata that is no text", join(modelOf(), entry(14, "a", "\xff")), "not UTF-8"},
		{"metadata without end", join(modelOf(), entry(14, "a", strings.Repeat("x", MaxValue+1))), "at most"},

		{"fewer bytes than the shape", modelOf(tensorOf(1, []int64{3}, message(9, make([]byte, 8)))), "float [3] takes 12 bytes, raw_data holds 8"},
		{"a terabyte in a line", modelOf(tensorOf(1, []int64{huge}, message(9, make([]byte, 8)))), "raw_data holds 8"},
		{"a shape past 64 bits", modelOf(tensorOf(1, []int64{huge, huge})), "too large"},
		{"bytes past 64 bits", modelOf(tensorOf(11, []int64{math.MaxInt64 / 2})), "too large"},
		{"a negative dimension", modelOf(tensorOf(1, []int64{-1})), "negative dimension"},
		{"dimensions without end", modelOf(tensorOf(1, make([]int64, maxRank+1))), "more than 64 numbers"},
		{"no data at all", modelOf(tensorOf(1, []int64{huge})), "it holds 0"},
		{"data of another type", modelOf(tensorOf(1, []int64{1}, message(7, []byte{1}))), "another type"},
		{"two sorts of data", modelOf(tensorOf(7, []int64{1}, raw64(1), message(7, []byte{1}))), "raw_data holds 8"},
		{"unknown data type", modelOf(tensorOf(99, []int64{1})), "data type 99 is unknown"},
		{"data type that other parsers skip", modelOf(tensorOf(1, []int64{2}, message(9, make([]byte, 8)), text(2, "x"))), "is no number"},
		{"segments", modelOf(tensorOf(1, nil, message(3))), "segments"},
		{"sparse tensor", modelOf(message(15)), "sparse"},
		{"sparse attribute", modelOf(nodeOf("Constant", nil, message(5, message(22)))), "sparse"},
		{"attribute with a tensor too short", modelOf(nodeOf("Constant", nil, message(5, message(5, number(2, 1), number(1, huge))))), "it holds 0"},
		{"attribute with two tensors", modelOf(nodeOf("Constant", nil, message(5, message(5, number(2, 1), number(1, 0)), message(5, number(2, 1), number(1, 0))))), "two values"},
		{"tensor in a function", join(modelOf(), message(25, message(7, text(4, "Constant"), message(5, message(5, number(2, 1), number(1, huge)))))), "it holds 0"},

		{"external data without a place", modelOf(outside()), "own folder"},
		{"external data above", modelOf(outside("location", "../secret")), "own folder"},
		{"external data above, by a detour", modelOf(outside("location", "weights/../../secret")), "own folder"},
		{"external data at an absolute path", modelOf(outside("location", "/etc/passwd")), "own folder"},
		{"external data in ONNX Runtime's memory", modelOf(outside("location", "*/_ORT_MEM_ADDR_/*", "offset", "4096")), "own folder"},
		{"external data behind a link out", modelOf(outside("location", "link")), "path escapes"},
		{"external data behind a linked folder", modelOf(outside("location", "up/secret")), "path escapes"},
		{"external data that is a folder", modelOf(outside("location", "folder")), "not a regular file"},
		{"external data that is missing", modelOf(outside("location", "none")), "no such file"},
		{"offset past the end", modelOf(outside("location", "weights", "offset", "9")), "8 bytes from 9 on, but the file ends at 16"},
		{"offset that overflows", modelOf(outside("location", "weights", "offset", "9223372036854775807")), "the file ends at 16"},
		{"offset that is negative", modelOf(outside("location", "weights", "offset", "-8")), "want a whole number"},
		{"length that is none", modelOf(outside("location", "weights", "length", "many")), "want a whole number"},
		{"length of another shape", modelOf(outside("location", "weights", "length", "16")), "takes 8 bytes, its length is 16"},
		{"two locations", modelOf(outside("location", "weights", "location", "../secret")), "two values"},
		{"location, but inside", modelOf(tensorOf(1, []int64{2}, entry(13, "location", "weights"), message(9, make([]byte, 8)))), "says that it is inside"},
		{"outside and inside", modelOf(tensorOf(1, []int64{2}, number(14, 1), entry(13, "location", "weights"), message(9, make([]byte, 8)))), "data inside"},
		{"a place that other parsers skip", modelOf(tensorOf(1, []int64{2}, number(14, 1), number(14, 7), entry(13, "location", "weights"))), "want 0 or 1"},

		{"a huge constant of a shape", modelOf(tensorOf(7, []int64{2}, message(7, []byte{0xff, 0xff, 0xff, 0x07, 0xff, 0xff, 0xff, 0x07})), nodeOf("ConstantOfShape", []string{"w"})), "node ConstantOfShape: it would make"},
		{"a huge expansion, written in raw bytes", modelOf(tensorOf(7, []int64{5}, raw64(255, 255, 255, 255, 255)), nodeOf("Expand", []string{"x", "w"})), "node Expand: it would make"},
		{"a huge expansion by a constant node", modelOf(nodeOf("Constant", nil, message(5, text(1, "value_ints"), message(8, []byte{0xff, 0xff, 0xff, 0xff, 0x7f}))), nodeOf("Tile", []string{"x", "out"})), "node Tile: it would make"},
		{"huge random numbers", modelOf(nodeOf("RandomNormal", nil, message(5, text(1, "shape"), number(8, huge)))), "node RandomNormal: it would make"},
		{"a compiled engine", modelOf(nodeOf("EPContext", nil)), "EPContext"},
		{"subgraphs without end", modelOf(nested(40)), "nest deeper than 8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := place(t, c.file)
			_, err := Check(path)
			if err == nil {
				t.Fatal("it was let through")
			}
			if !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), path+": ") || !fail.IsUsage(err) {
				t.Errorf("error %q, want the path and %q", err, c.want)
			}
		})
	}
}

// place writes the model into a folder that also holds weights (16 bytes), a folder, and links that lead out.
func place(t testing.TB, file []byte) string {
	t.Helper()
	up := t.TempDir()
	dir := filepath.Join(up, "model")
	must(t, os.MkdirAll(filepath.Join(dir, "folder"), 0o755))
	must(t, os.WriteFile(filepath.Join(up, "secret"), make([]byte, 16), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "weights"), make([]byte, 16), 0o600))
	must(t, os.Symlink("../secret", filepath.Join(dir, "link")))
	must(t, os.Symlink("..", filepath.Join(dir, "up")))
	path := filepath.Join(dir, "m.onnx")
	must(t, os.WriteFile(path, file, 0o600))
	return path
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// nested is a node whose attribute is a graph with such a node, and so on.
func nested(deep int) []byte {
	node := nodeOf("If", nil)
	for range deep {
		node = nodeOf("If", nil, message(5, message(6, node)))
	}
	return node
}

func TestGoodFilesPass(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		file []byte
	}{
		{"an empty graph", modelOf()},
		{"floats in raw bytes", modelOf(tensorOf(1, []int64{2}, message(9, make([]byte, 8))))},
		{"floats, packed", modelOf(tensorOf(1, []int64{2}, message(4, make([]byte, 8))))},
		{"a scalar", modelOf(tensorOf(6, nil, message(5, []byte{3})))},
		{"an empty tensor", modelOf(tensorOf(1, []int64{0, huge}))},
		{"whole numbers, one a field", modelOf(tensorOf(7, []int64{2}, number(7, 300), number(7, -1)))},
		{"strings", modelOf(tensorOf(8, []int64{2}, text(6, "a"), text(6, "b")))},
		{"three numbers of four bits", modelOf(tensorOf(22, []int64{3}, message(9, make([]byte, 2))))},
		{"external data", modelOf(outside("location", "weights", "offset", "8", "length", "8", "checksum", "x"))},
		{"external data to the end of the file", modelOf(outside("location", "folder/../weights", "offset", "8"))},
		{"an expansion of good size", modelOf(tensorOf(7, []int64{2}, raw64(9, 9)), nodeOf("Expand", []string{"x", "w"}))},
		{"one subgraph", modelOf(nested(1))},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if _, err := Check(place(t, c.file)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestNamesAndFolders(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "m.ort"), modelOf(), 0o600))
	pipe := filepath.Join(dir, "pipe")
	must(t, syscall.Mkfifo(pipe, 0o600))
	for path, want := range map[string]string{
		dir: "not a regular file", pipe: "not a regular file", filepath.Join(dir, "m.ort"): "ORT-format", filepath.Join(dir, "none"): "no such file; name an ONNX file",
	} {
		if _, err := Check(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}

func TestExternalDataLiesBesideTheFileThatALinkLeadsTo(t *testing.T) {
	t.Parallel()
	path := place(t, modelOf(outside("location", "weights")))
	link := filepath.Join(t.TempDir(), "link.onnx")
	must(t, os.Symlink(path, link))
	info, err := Check(link)
	must(t, err)
	if resolved, _ := filepath.EvalSymlinks(path); info.File != resolved || info.Path != link {
		t.Errorf("path %s, file %s", info.Path, info.File)
	}
}

func TestMetadataNumbers(t *testing.T) {
	t.Parallel()
	info, err := Check(place(t, join(modelOf(), entry(14, "n", "20"), entry(14, "bad", "1e9"))))
	must(t, err)
	if n, err := info.Int("n", 1, 20); n != 20 || err != nil {
		t.Errorf("n = %d, %v", n, err)
	}
	for key, want := range map[string]string{"none": "has no none", "bad": `bad is "1e9", want a whole number in 1…20`} {
		if _, err := info.Int(key, 1, 20); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", key, err, want)
		}
	}
}

func TestWeightsAreSteppedOver(t *testing.T) {
	t.Parallel()
	const size = 64 << 20
	path := place(t, modelOf(tensorOf(2, []int64{size}, message(9, make([]byte, size)))))
	allocated := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			if _, err := Check(path); err != nil {
				b.Fatal(err)
			}
		}
	}).AllocedBytesPerOp()
	if allocated > 1<<20 {
		t.Errorf("checking %d bytes of weights allocates %d bytes", size, allocated)
	}
}

func FuzzWalk(f *testing.F) {
	tiny, err := os.ReadFile("../testdata/tiny.onnx")
	must(f, err)
	f.Add(tiny)
	f.Add(modelOf(outside("location", "weights", "offset", "8")))
	f.Add(modelOf(nested(4)))
	f.Add(modelOf(tensorOf(7, []int64{5}, raw64(255, 255, 255, 255, 255)), nodeOf("Expand", []string{"x", "w"})))
	root, err := os.OpenRoot(f.TempDir())
	must(f, err)
	f.Cleanup(func() { must(f, root.Close()) })
	f.Fuzz(func(t *testing.T, b []byte) {
		w := walker{in: file{source: bytes.NewReader(b), size: int64(len(b))}, folder: root, info: &Info{Metadata: map[string]string{}}}
		if err := w.model(); err == nil {
			_ = w.info.checkContract()
		}
	})
}
