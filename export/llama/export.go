package llama

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"mllm4rec/export/matrix"
	"mllm4rec/export/onnx"
	"mllm4rec/internal/fail"
)

// Precision is the form of a ranker's weights. In INT8 the last layer and the letters' logits stay in float32.
type Precision = matrix.Precision

// The precisions.
const (
	FP32 = matrix.FP32
	FP16 = matrix.FP16
	INT8 = matrix.INT8
	INT4 = matrix.INT4
)

// Options say what a ranker is for.
type Options struct {
	Precision Precision
	// Letters are the token ids whose logits are the scores, one a candidate: 2 or more, all different.
	Letters []int32
	// Prefix is the tokens that all prompts begin with, BOS included. The runtime computes their keys and values once.
	Prefix []int32
	// MaxLength is the tokens of the longest prompt; 0 is 2048, or less where the model has fewer positions.
	MaxLength int
	// Template and Tokenizer tell which prompts the model was trained with: names or fingerprints, kept as they are.
	Template, Tokenizer string
}

const defaultLength = 2048

// Export writes the ranker's graph to out, atomically: the checkpoint with the adapter (nil: none) merged. Weights are
// read a tensor at a time; above 1 GiB they go to out + ".data". Letters, a prefix or an adapter that do not fit the
// checkpoint are usage errors.
func Export(ctx context.Context, ck *Checkpoint, adapter *Adapter, out string, o Options) error {
	return export(ctx, ck, adapter, out, o)
}

func export(ctx context.Context, from source, adapter *Adapter, out string, o Options) error {
	b := &builder{Config: from.Config(), reader: &reader{source: from, adapter: adapter}, Options: o}
	if err := b.prepare(); err != nil {
		return err
	}
	model, err := b.build().Finish()
	if err != nil {
		return fmt.Errorf("%s: %w", out, err)
	}
	return model.Write(ctx, out)
}

// prepare checks the options against the model and fills in what they leave open.
func (b *builder) prepare() error {
	if b.MaxLength == 0 {
		b.MaxLength = min(defaultLength, b.MaxPositions)
	}
	switch {
	case b.MaxLength < 1 || b.MaxLength > b.MaxPositions:
		return fail.Usagef("a prompt of %d tokens: the model has %d positions", b.MaxLength, b.MaxPositions)
	case len(b.Prefix) >= b.MaxLength:
		return fail.Usagef("a prefix of %d tokens leaves nothing of %d", len(b.Prefix), b.MaxLength)
	case len(b.Letters) < 2:
		return fail.Usagef("%d letters: a ranker needs 2 or more candidates", len(b.Letters))
	}
	if err := b.checkTokens(); err != nil {
		return err
	}
	if b.adapter != nil {
		if err := b.adapter.fits(&b.Config); err != nil {
			return err
		}
	}
	return b.choose()
}

func (b *builder) checkTokens() error {
	seen := map[int32]bool{}
	for i, letter := range b.Letters {
		if letter < 0 || int(letter) >= b.VocabSize || seen[letter] {
			return fail.Usagef("letter %d is token %d: letters are different tokens below %d", i, letter, b.VocabSize)
		}
		seen[letter] = true
	}
	for i, token := range b.Prefix {
		if token < 0 || int(token) >= b.VocabSize {
			return fail.Usagef("token %d of the prefix is %d, the model's vocabulary ends at %d", i, token, b.VocabSize)
		}
	}
	return nil
}

// choose sets the arithmetic. The last layer works at one position only, but for its small keys and values: INT8 gains
// nothing there.
func (b *builder) choose() (err error) {
	writer := matrix.NewWriter(b.reader)
	if b.products, err = writer.Products(b.Precision); err != nil {
		return err
	}
	b.dtype, b.table, b.lastProducts = onnx.Float32, onnx.Float16, b.products
	switch b.Precision {
	case FP32:
		b.table = onnx.Float32
	case FP16:
		b.dtype = onnx.Float16
	case INT8:
		b.lastProducts = writer.Plain
	}
	return nil
}

// describe sets the metadata by which the runtime knows the model.
func (b *builder) describe() {
	for key, n := range map[string]int{
		"format": 1, "max_length": b.MaxLength, "vocabulary": b.VocabSize, "layers": b.Layers, "kv_heads": b.KVHeads, "head_size": b.HeadDim,
	} {
		b.g.Metadata("mllm4rec."+key, strconv.Itoa(n))
	}
	for key, text := range map[string]string{
		"kind": "ranker", "architecture": b.Architecture, "precision": string(b.Precision), "base": b.Fingerprint(),
		"template": b.Template, "tokenizer": b.Tokenizer, "letters": tokens(b.Letters), "prefix": tokens(b.Prefix),
		"adapter": b.adapter.fingerprint(),
	} {
		b.g.Metadata("mllm4rec."+key, text)
	}
}

// tokens is like "330 347 366".
func tokens(ids []int32) string { return strings.Trim(fmt.Sprint(ids), "[]") }
