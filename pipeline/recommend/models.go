package recommend

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"

	"mllm4rec/internal/fail"
	"mllm4rec/pipeline/caption"
	"mllm4rec/pipeline/rank"
	"mllm4rec/runtime/retrieve"
)

func (b *Backend) openRetriever(ctx context.Context) (err error) {
	path := b.path("retriever.onnx")
	if b.retriever, err = retrieve.Open(path, b.options.ORT); err != nil {
		return err
	}
	if knows, has := b.retriever.NumItems(), b.items.size(); knows != has {
		return fail.Usagef("%s knows %d items, and %s has %d: they are of different runs; run `mllm4rec run` again", path, knows, b.path("items.parquet"), has)
	}
	if b.models.Retriever, err = fingerprint(path, path+".data"); err != nil {
		return err
	}
	b.batcher = retrieve.NewBatcher(b.retriever, func(histories, items int) { b.options.Observe.Batch("retriever", histories, items) })
	_, err = b.retriever.TopK(ctx, [][]int32{{1}}, b.options.K)
	return err
}

// openRanker opens the language model where the run has one and somebody asks for it.
func (b *Backend) openRanker(ctx context.Context) error {
	if b.options.Ranker == nil {
		return nil
	}
	o := *b.options.Ranker
	for _, file := range []*string{&o.File, &o.Captions} {
		if there, err := exists(*file); err != nil && *file != "" {
			return err
		} else if !there {
			*file = ""
		}
	}
	if o.File == "" {
		return nil
	}
	model, err := rank.Open(o)
	if err != nil {
		return err
	}
	b.ranker = model
	model.Ranker().Keep(b.options.CacheBytes)
	b.models.Ranker = model.Ranker().Info().Fingerprint()
	if there, err := exists(b.path(rank.FusionFile)); err != nil || there {
		f, readErr := rank.ReadFusion(b.path(rank.FusionFile))
		if err := errors.Join(err, readErr); err != nil {
			return err
		}
		b.fusion = &f
	}
	first := model.Texts()[1:2]
	_, err = b.ask(ctx, []rank.Question{{History: first, Candidates: first}}, &told{})
	return err
}

func (b *Backend) openCaptioner(context.Context) (err error) {
	if b.options.Captioner == nil {
		return nil
	}
	if b.captioner, err = caption.OpenCaptioner(*b.options.Captioner); err != nil {
		return err
	}
	b.models.Captioner = b.captioner.Info().Fingerprint()
	return nil
}

// fingerprint is the SHA-256 of a file and of those others that are there, in hex.
func fingerprint(file string, others ...string) (string, error) {
	sum := sha256.New()
	if err := addTo(sum, file); err != nil {
		return "", err
	}
	for _, other := range others {
		if there, err := exists(other); err != nil {
			return "", err
		} else if !there {
			continue
		}
		if err := addTo(sum, other); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func addTo(w io.Writer, path string) (err error) {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	_, err = io.Copy(w, file)
	return err
}
