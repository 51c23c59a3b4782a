package run

import (
	"log/slog"
	"path/filepath"
	"testing"
)

func TestLiveIsAskedAsTheRunIs(t *testing.T) {
	t.Parallel()
	p := load(t, "out=runs/a", "name=a", "candidates.k=17", "ranker.base=lm", "ranker.history=9", "images.source=url", "captioner.model=c.onnx", "runtime.threads=3", "serve.cache_bytes=5")
	o := Live(p.Config, slog.New(slog.DiscardHandler))
	if o.Dir != p.dir || o.Name != "a" || o.K != 17 || o.ORT.Threads != 3 || o.CacheBytes != 5 {
		t.Errorf("%+v", o)
	}
	if r := o.Ranker; r == nil || r.File != filepath.Join(p.dir, "ranker.onnx") || r.Tokenizer != "lm" || r.Limits.History != 9 || r.Candidates != 17 || r.ORT.Threads != 3 {
		t.Errorf("%+v", o.Ranker)
	}
	if c := o.Captioner; c == nil || c.File != "c.onnx" {
		t.Errorf("%+v", o.Captioner)
	}
	if !o.Captions || !o.Pictures {
		t.Errorf("the run has captions and pictures: %+v", o)
	}
	if bare := Live(load(t).Config, slog.New(slog.DiscardHandler)); bare.Ranker != nil || bare.Captioner != nil || bare.Captions || bare.Pictures {
		t.Errorf("the recipe has neither language model, captioner nor pictures: %+v", bare)
	}
}
