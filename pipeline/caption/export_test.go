package caption_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gofrs/flock"

	"mllm4rec/data/tokenizer"
	"mllm4rec/export/blip2/blip2test"
	"mllm4rec/export/matrix"
	"mllm4rec/internal/fail"
	"mllm4rec/pipeline/caption"
	model "mllm4rec/runtime/caption"
	"mllm4rec/runtime/ort/orttest"
)

func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := blip2test.Write(dir, 3); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestExportedCaptionerNeedsNothingElse(t *testing.T) {
	t.Parallel()
	dir, out := folder(t), filepath.Join(t.TempDir(), "captioner.onnx")
	done, err := caption.Export(t.Context(), caption.ExportOptions{Model: dir, Out: out, Precision: matrix.INT8})
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(out); err != nil || info.Size() != done.Bytes || done.ImageSize != blip2test.Size || done.Precision != "int8" {
		t.Errorf("%+v, %v", done, err)
	}
	c, err := model.Open(out, orttest.Options(t))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	tok, err := tokenizer.Parse(c.Vocabulary())
	if err != nil {
		t.Fatal(err)
	}
	if said := c.Info().Metadata; said["mllm4rec.tokenizer"] != tok.Fingerprint() || said["mllm4rec.base"] != done.Model {
		t.Errorf("the file is of %s and %s, want %s and %s", said["mllm4rec.tokenizer"], said["mllm4rec.base"], tok.Fingerprint(), done.Model)
	}
	words, err := c.Caption(t.Context(), make([]float32, 2*3*blip2test.Size*blip2test.Size), tok, "Question: what? Answer:", model.Options{})
	if err != nil || len(words) != 2 || words[0] == "" || words[0] != words[1] {
		t.Errorf("%q, %v", words, err)
	}
}

func TestTheModelsOwnFilesAreNotWrittenOver(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	weights := filepath.Join(dir, "model.safetensors")
	before := read(t, weights)
	_, err := caption.Export(t.Context(), caption.ExportOptions{Model: dir, Out: weights, Precision: matrix.FP32})
	if !fail.IsUsage(err) || !strings.Contains(err.Error(), "would be among the model's own files") || !bytes.Equal(read(t, weights), before) {
		t.Errorf("error %v", err)
	}
}

func TestVocabularyOfAnotherModelIsRefused(t *testing.T) {
	t.Parallel()
	dir, out := folder(t), filepath.Join(t.TempDir(), "captioner.onnx")
	path := filepath.Join(dir, "tokenizer.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), `"id": 257`, `"id": 258`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = caption.Export(t.Context(), caption.ExportOptions{Model: dir, Out: out, Precision: matrix.FP32})
	if err == nil || !fail.IsUsage(err) || !strings.Contains(err.Error(), "tokenizer.json") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a file was left behind")
	}
}

func TestExportTakesAwayWhatAKilledOneLeft(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "captioner.onnx")
	for _, name := range []string{".captioner.onnx.tmp-1", ".captioner.onnx.data.tmp-2"} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(out), name), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := caption.Export(t.Context(), caption.ExportOptions{Model: folder(t), Out: out, Precision: matrix.FP32}); err != nil {
		t.Fatal(err)
	}
	if files, err := os.ReadDir(filepath.Dir(out)); err != nil || len(files) != 1 {
		t.Errorf("%v, %v", files, err)
	}
}

func TestASecondExportOfAFileIsRefused(t *testing.T) {
	t.Parallel()
	dir, out := folder(t), filepath.Join(t.TempDir(), "new", "captioner.onnx")
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		t.Fatal(err)
	}
	first := flock.New(filepath.Join(filepath.Dir(out), ".captioner.onnx.lock"))
	if held, err := first.TryLock(); !held {
		t.Fatal(err)
	}
	o := caption.ExportOptions{Model: dir, Out: out, Precision: matrix.FP32}
	if _, err := caption.Export(t.Context(), o); err == nil || !strings.Contains(err.Error(), "another export writes "+out) {
		t.Errorf("got %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := caption.Export(t.Context(), o); err != nil {
		t.Error(err)
	}
}
