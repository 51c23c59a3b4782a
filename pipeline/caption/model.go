package caption

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/dustin/go-humanize"

	"mllm4rec/data/picture"
	"mllm4rec/data/tokenizer"
	"mllm4rec/internal/fail"
	"mllm4rec/runtime/caption"
	"mllm4rec/runtime/ort"
)

// What a batch may be. Of itself it is as large as BatchBytes allow by the captioner's own account of what a picture takes
// beside the weights, and never above DefaultBatch, which costs nothing more and keeps what a kill can lose small.
const (
	BatchBytes   = 2 << 30
	DefaultBatch = 64
	MaxBatch     = 1024
)

// ModelOptions say what captions, and how it is asked.
type ModelOptions struct {
	// File is the captioner's ONNX file.
	File string
	// Prompt is text that captions go on from, "Question: what is this? Answer:"; "" is none.
	Prompt string
	// MaxTokens is the most tokens of a caption, Beams the width of the search; 0 is what caption.Options make of it.
	MaxTokens, Beams int
	// Batch is how many pictures the model gets at once; 0 is as many as BatchBytes allow.
	Batch int
	// ORT says what the model runs on.
	ORT ort.Options
}

// model is an opened captioner with what it takes to ask it.
type model struct {
	ModelOptions
	captioner   *caption.Captioner
	fingerprint string
	words       *tokenizer.Tokenizer
	options     caption.Options
}

// openModel opens the captioner and makes sure that it can caption so. Batch is then set.
func openModel(o ModelOptions) (*model, error) {
	if o.Batch < 0 || o.Batch > MaxBatch {
		return nil, fail.Usagef("a batch of %d pictures: give 1 to %d, or 0 for as many as %s allow", o.Batch, MaxBatch, humanize.IBytes(BatchBytes))
	}
	captioner, err := caption.Open(o.File, o.ORT)
	if err != nil {
		return nil, err
	}
	m := &model{ModelOptions: o, captioner: captioner, fingerprint: captioner.Fingerprint()}
	m.options = caption.Options{MaxTokens: o.MaxTokens, Beams: o.Beams}
	if err := m.prepare(); err != nil {
		return nil, errors.Join(err, captioner.Close())
	}
	return m, nil
}

// prepare reads the vocabulary and chooses the batch.
func (m *model) prepare() (err error) {
	if m.words, err = tokenizer.Parse(m.captioner.Vocabulary()); err != nil {
		return fail.Usagef("%s: its vocabulary: %w; export it anew", m.File, err)
	}
	m.options.Prompt = m.words.Encode(m.Prompt)
	if err := m.captioner.Check(m.options); err != nil {
		return err
	}
	if m.Batch == 0 {
		m.Batch = batchOf(m.captioner.PictureBytes(m.options))
	}
	return nil
}

// batchOf is the largest batch of pictures that take so many bytes each.
func batchOf(pictureBytes int64) int { return int(max(1, min(DefaultBatch, BatchBytes/pictureBytes))) }

func (m *model) close() error { return m.captioner.Close() }

// samples is how many values a picture has for the model.
func (m *model) samples() int {
	size := m.captioner.Pictures().Size
	return 3 * size * size
}

// normalised is what the model reads of a picture's file of up to maxPixels, float32 [3, size, size].
func (m *model) normalised(data []byte, maxPixels int) ([]float32, error) {
	p, err := picture.DecodeWithin(data, maxPixels)
	if err != nil {
		return nil, err
	}
	wanted := m.captioner.Pictures()
	pixels := make([]float32, m.samples())
	return pixels, p.Resize(wanted.Size).Normalise(pixels, doubled(wanted.Mean), doubled(wanted.Std))
}

func doubled(v [3]float32) [3]float64 { return [3]float64{float64(v[0]), float64(v[1]), float64(v[2])} }

// captions are those of a batch, pixels [batch, 3, size, size].
func (m *model) captions(ctx context.Context, pixels []float32) ([]string, error) {
	return m.captioner.Caption(ctx, pixels, m.words, m.Prompt, m.options)
}

// settings says how the captioner is asked, in words: what a caption depends on beside the picture and the captioner.
func (o ModelOptions) settings() string {
	return fmt.Sprintf("max_tokens=%d beams=%d prompt=%q", o.MaxTokens, o.Beams, o.Prompt)
}

// plan is a digest of all that the table depends on, batches included, since they can change a last bit of a score. Of the
// files it takes name, size and time: hashing them would take as long as reading them.
func (m *model) plan(files []file) string {
	sum := sha256.New()
	_, _ = fmt.Fprintf(sum, "3 %s %s %s %d\n", m.fingerprint, m.captioner.Provider(), m.settings(), m.Batch)
	for _, f := range files {
		_, _ = fmt.Fprintf(sum, "%q %d %d\n", f.name, f.size, f.modTime)
	}
	return hex.EncodeToString(sum.Sum(nil))
}
