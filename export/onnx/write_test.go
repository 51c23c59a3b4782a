package onnx

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"mllm4rec/internal/fail"
	"mllm4rec/internal/onnxpb"
	"mllm4rec/runtime/ort"
	"mllm4rec/runtime/ort/orttest"
)

// linear is y = x · w, with weights of ones that come from open.
func linear(t *testing.T, rows int64, open func() (io.Reader, error)) *Model {
	t.Helper()
	g := New("linear")
	x := g.Input("x", Float32, Sym("batch"), Num(rows))
	y := g.MatMul(x, g.Stream("w", Float32, []int64{rows, 16}, open))
	g.Output("y", g.Add(y, g.Scalar(3)))
	m, err := g.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func ones(n int) func() (io.Reader, error) {
	return func() (io.Reader, error) {
		return bytes.NewReader(bytes.Repeat(binary.LittleEndian.AppendUint32(nil, math.Float32bits(1)), n)), nil
	}
}

func read(t *testing.T, path string) *onnxpb.ModelProto {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m := &onnxpb.ModelProto{}
	if err := proto.Unmarshal(text, m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestWeightsAreInTheModel(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := os.WriteFile(path+dataSuffix, []byte("of an earlier model"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := linear(t, 100, ones(1600)).Write(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	m := read(t, path)
	w := m.Graph.Initializer[0]
	if w.GetName() != "w" || len(w.RawData) != 6400 || math.Float32frombits(binary.LittleEndian.Uint32(w.RawData[6396:])) != 1 {
		t.Errorf("weight %s has %d bytes", w.GetName(), len(w.RawData))
	}
	if m.GetIrVersion() != 10 || m.OpsetImport[0].GetVersion() != 21 || len(m.OpsetImport) != 1 {
		t.Errorf("versions %v %v", m.GetIrVersion(), m.OpsetImport)
	}
	if _, err := os.Stat(path + dataSuffix); !errors.Is(err, os.ErrNotExist) {
		t.Error("the data file of an earlier model is still there")
	}
}

func TestLargeWeightsGoBesideTheModel(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "m.onnx")
	g := New("two")
	g.Metadata("mllm4rec.format", "1")
	g.Metadata("mllm4rec.kind", "retriever")
	x := g.Input("x", Float32, Sym("batch"), Num(100))
	a := g.Stream("a", Float32, []int64{100, 15}, ones(1500))
	b := g.Stream("b", Float32, []int64{15, 100}, ones(1500))
	g.Output("y", g.Add(g.MatMul(g.MatMul(x, a), b), g.Scalar(2)))
	m, err := g.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.write(t.Context(), path, 4096); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path + dataSuffix)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range read(t, path).Graph.Initializer {
		if w.GetName() == "const/float_2" {
			if len(w.RawData) != 4 {
				t.Error("a small constant left the model")
			}
			continue
		}
		at := external(w)
		offset, _ := strconv.Atoi(at["offset"])
		length, _ := strconv.Atoi(at["length"])
		if at["location"] != "m.onnx.data" || offset%alignment != 0 || length != 6000 || offset+length > len(data) || len(w.RawData) != 0 {
			t.Errorf("weight %s is at %v, the data file has %d bytes", w.GetName(), at, len(data))
			continue
		}
		want, _ := io.ReadAll(must(ones(1500)()))
		if !bytes.Equal(data[offset:offset+length], want) {
			t.Errorf("weight %s has other bytes", w.GetName())
		}
	}
	if got := runOnes(t, path, 100); got != 1502 {
		t.Errorf("ONNX Runtime computes %v, want 100 · 15 + 2", got)
	}
	var text bytes.Buffer
	if err := Describe(&text, path, false); err != nil || !strings.Contains(text.String(), `weight b float32[15, 100] in location "m.onnx.data", offset "8192", length "6000"`) {
		t.Errorf("%v\n%s", err, text.String())
	}
}

// runOnes runs a model from [1, n] ones to [1, n] and returns the last element.
func runOnes(t *testing.T, path string, n int) float32 {
	t.Helper()
	session, err := ort.Open(path, orttest.Options(t))
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	in := make([]float32, n)
	for i := range in {
		in[i] = 1
	}
	x, err := ort.NewTensor(in, 1, int64(n))
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	out := make([]float32, n)
	y, err := ort.NewTensor(out, 1, int64(n))
	if err != nil {
		t.Fatal(err)
	}
	defer y.Close()
	if err := session.Run(t.Context(), []ort.Value{x}, []ort.Value{y}); err != nil {
		t.Fatal(err)
	}
	return out[n-1]
}

func must(r io.Reader, _ error) io.Reader { return r }

func TestFailedWritingLeavesTheOldModel(t *testing.T) {
	t.Parallel()
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	cases := []struct {
		name, want string
		ctx        context.Context
		open       func() (io.Reader, error)
	}{
		{"weight too short", "weight w: 6396 bytes came", t.Context(), ones(1599)},
		{"weight too long", "weight w: more bytes came than the 6400", t.Context(), ones(1601)},
		{"weight that cannot be opened", "weight w: gone", t.Context(), func() (io.Reader, error) { return nil, errors.New("gone") }},
		{"end of context", "context canceled", canceled, ones(1600)},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "m.onnx")
			for _, name := range []string{path, path + dataSuffix} {
				if err := os.WriteFile(name, []byte("old"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for _, externalAbove := range []int64{ExternalAbove, 0} {
				err := linear(t, 100, c.open).write(c.ctx, path, externalAbove)
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v; want %q", err, c.want)
				}
				for _, name := range []string{path, path + dataSuffix} {
					if text, _ := os.ReadFile(name); string(text) != "old" {
						t.Errorf("the old model is gone, weights beside it above %d bytes: %s", externalAbove, name)
					}
				}
				if files, _ := os.ReadDir(dir); len(files) != 2 {
					t.Errorf("%v was left", files)
				}
			}
		})
	}
}

func TestFoldersAreNotReplaced(t *testing.T) {
	t.Parallel()
	for _, externalAbove := range []int64{ExternalAbove, 0} {
		dir := t.TempDir()
		if err := linear(t, 100, ones(1600)).write(t.Context(), dir, externalAbove); !fail.IsUsage(err) || !strings.Contains(err.Error(), "name a file") {
			t.Error(err)
		}
		if _, err := os.ReadDir(dir); err != nil {
			t.Error(err)
		}
	}
}

func TestEqualGraphsGiveEqualFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var files [2][]byte
	for i := range files {
		path := filepath.Join(dir, strconv.Itoa(i))
		if err := linear(t, 10, ones(160)).Write(t.Context(), path); err != nil {
			t.Fatal(err)
		}
		files[i], _ = os.ReadFile(path)
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("the files differ")
	}
}
