package blip2

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"mllm4rec/export/matrix"
	"mllm4rec/export/onnx"
)

// Options say what a captioner is for.
type Options struct {
	// Precision is that of the linear layers of ViT and decoder. In FP16 all but the Q-Former is halved, which Hugging Face
	// keeps in float32 too; in INT8 and INT4 norms, attention, Q-Former and projection stay in float32.
	Precision matrix.Precision
	// Vocabulary is the decoder's tokenizer.json, which goes into the file, and Tokenizer its fingerprint.
	Vocabulary []byte
	Tokenizer  string
}

// Export writes the captioner's graph to out, atomically. Weights are read a tensor at a time; above 1 GiB they go to
// out + ".data". An unknown precision is a usage error.
func Export(ctx context.Context, ck *Checkpoint, out string, o Options) error {
	return export(ctx, ck, out, o, false)
}

func export(ctx context.Context, from source, out string, o Options, parts bool) error {
	b := &builder{Config: from.Config(), reader: &reader{from}, Options: o, parts: parts}
	if err := b.choose(); err != nil {
		return err
	}
	model, err := b.build().Finish()
	if err != nil {
		return fmt.Errorf("%s: %w", out, err)
	}
	return model.Write(ctx, out)
}

// choose sets the arithmetic.
func (b *builder) choose() (err error) {
	writer := matrix.NewWriter(b.reader)
	b.plain = writer.Plain
	if b.products, err = writer.Products(b.Precision); err != nil {
		return err
	}
	b.dtype, b.table = onnx.Float32, onnx.Float16
	switch b.Precision {
	case matrix.FP32:
		b.table = onnx.Float32
	case matrix.FP16:
		b.dtype = onnx.Float16
	}
	return nil
}

// describe sets the metadata by which the runtime knows the model.
func (b *builder) describe() {
	t, pictures := &b.Text, b.Pictures()
	for key, n := range map[string]int{
		"format": 1, "image_size": pictures.Size, "queries": b.Queries, "max_length": t.MaxPositions, "vocabulary": t.VocabSize,
		"bos": int(t.BOS), "pad": int(t.Pad), "picture_bytes": b.pictureBytes(), "token_bytes": b.tokenBytes(),
	} {
		b.g.Metadata("mllm4rec."+key, strconv.Itoa(n))
	}
	for key, text := range map[string]string{
		"kind": "captioner", "architecture": "blip2-opt", "precision": string(b.Precision), "base": b.Fingerprint(),
		"image_mean": list(pictures.Mean[:]), "image_std": list(pictures.Std[:]), "eos": list(t.EOS),
		"tokenizer": b.Tokenizer, "tokenizer_json": string(b.Vocabulary),
	} {
		b.g.Metadata("mllm4rec."+key, text)
	}
}

// list is like "0.5 0.5 0.5".
func list[T any](values []T) string { return strings.Trim(fmt.Sprint(values), "[]") }
