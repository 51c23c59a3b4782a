package caption

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	"mllm4rec/data/tokenizer"
	"mllm4rec/export/blip2"
	"mllm4rec/export/matrix"
	"mllm4rec/internal/atomicfile"
	"mllm4rec/internal/fail"
	"mllm4rec/runtime/ort/modelfile"
)

// ExportOptions say which captioner is written where.
type ExportOptions struct {
	// Model is the Hugging Face folder of a Blip2ForConditionalGeneration, its tokenizer.json in it.
	Model, Out string
	Precision  matrix.Precision
}

// Exported tells what was written.
type Exported struct {
	Out       string `json:"out"`
	Precision string `json:"precision"`
	Model     string `json:"model"` // the checkpoint's fingerprint
	ImageSize int    `json:"image_size"`
	Bytes     int64  `json:"bytes"` // with the data file beside it
}

// Text is the same for people.
func (e Exported) Text() string {
	return fmt.Sprintf("%s: captioner of %d × %d pictures in %s, %.1f MB\n", e.Out, e.ImageSize, e.ImageSize, e.Precision, float64(e.Bytes)/1e6)
}

// Export writes the captioner's graph with its vocabulary. A folder that holds no such model, one that is damaged, and an
// unknown precision are usage errors.
func Export(ctx context.Context, o ExportOptions) (done Exported, err error) {
	if info, err := os.Stat(o.Model); err != nil || !info.IsDir() {
		return Exported{}, fail.Usagef("%s: no such folder; give the Hugging Face folder of a BLIP-2 model such as blip2-opt-2.7b", o.Model)
	}
	if inside(o.Out, o.Model) && filepath.Ext(o.Out) != ".onnx" {
		return Exported{}, fail.Usagef("%s would be among the model's own files, and may be one of them; name a file that ends in .onnx, or in another folder", o.Out)
	}
	ck, err := blip2.Open(o.Model)
	if err != nil {
		return Exported{}, err
	}
	defer func() { err = errors.Join(err, ck.Close()) }()
	options := blip2.Options{Precision: o.Precision}
	if options.Vocabulary, options.Tokenizer, err = vocabulary(o.Model, ck.Config().Text.VocabSize); err != nil {
		return Exported{}, err
	}
	unlock, err := lockOut(o.Out)
	if err != nil {
		return Exported{}, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	files := []string{o.Out, o.Out + ".data"}
	for _, name := range files { // what an export that was killed left takes as much as a model
		if err := atomicfile.SweepFile(name); err != nil {
			return Exported{}, err
		}
	}
	if err := blip2.Export(ctx, ck, o.Out, options); err != nil {
		return Exported{}, err
	}
	done = Exported{Out: o.Out, Precision: string(o.Precision), Model: ck.Fingerprint(), ImageSize: ck.Pictures().Size}
	for _, name := range files {
		if info, err := os.Stat(name); err == nil {
			done.Bytes += info.Size()
		}
	}
	return done, nil
}

// lockOut keeps a second export from a file that one is writing: their graph and weights would mix.
func lockOut(out string) (unlock func() error, err error) {
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return nil, fail.Usagef("%s: its folder cannot be made: %w; name another file with --out", out, err)
	}
	path := filepath.Join(filepath.Dir(out), "."+filepath.Base(out)+".lock")
	lock := flock.New(path)
	held, err := lock.TryLock()
	if err != nil {
		return nil, fail.Usagef("%s cannot be written: %w; name another file with --out", out, err)
	}
	if !held {
		return nil, fmt.Errorf("another export writes %s; wait for it, or name another file with --out", out)
	}
	return func() error { return errors.Join(os.Remove(path), lock.Close()) }, nil
}

// vocabulary reads the folder's tokenizer.json, white space taken out, and its fingerprint.
func vocabulary(dir string, size int) (text []byte, fingerprint string, err error) {
	tok, err := tokenizer.Open(dir)
	if err != nil {
		return nil, "", err
	}
	path := filepath.Join(dir, "tokenizer.json")
	if tok.VocabSize() > size {
		return nil, "", fail.Usagef("%s: it has %d tokens, the model %d: it belongs to another model", path, tok.VocabSize(), size)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, "", err
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, raw); err != nil {
		return nil, "", fail.Usagef("%s: %w", path, err)
	}
	if compact.Len() > modelfile.MaxValue {
		return nil, "", fail.Usagef("%s: %d bytes are more than a model file carries along, %d", path, compact.Len(), modelfile.MaxValue)
	}
	return compact.Bytes(), tok.Fingerprint(), nil
}

// inside says whether a file lies in a folder.
func inside(file, dir string) bool {
	a, errA := os.Stat(filepath.Dir(file))
	b, errB := os.Stat(dir)
	return errA == nil && errB == nil && os.SameFile(a, b)
}
