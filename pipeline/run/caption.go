package run

import (
	"context"
	"path/filepath"

	"mllm4rec/pipeline/caption"
	"mllm4rec/pipeline/images"
	"mllm4rec/pipeline/stage"
)

// The values of ranker.captions beside "caption".
const (
	captionsNone = "none"
	captionsOnly = "caption-only"
)

// caption puts the items' pictures into words.
func (p *pipeline) caption() stage.Stage {
	config := p.Config.Section("captioner")
	delete(config, "captioner.model") // an input, by its contents
	delete(config, "captioner.batch") // of no effect beyond the last bits
	return stage.Stage{
		Name: Caption, Version: 2, Config: config,
		Inputs: func() ([]string, error) {
			model := p.Config.Captioner.Model
			external, err := filepath.Glob(model + ".data")
			return append([]string{p.path(images.TableFile), model}, external...), err
		},
		Outputs: []string{caption.TableFile}, Partial: []string{caption.TableFile + caption.PartsEnding}, Room: 20e6,
		Check: p.checkCaptioner, Run: p.captionItems,
	}
}

func (p *pipeline) checkCaptioner() error {
	if err := caption.Check(p.Config.Captioner.Model); err != nil {
		return err
	}
	return p.checkRuntime()
}

func (p *pipeline) captionItems(ctx context.Context) error {
	stats, err := caption.RunItems(ctx, p.dir, p.captioner(), p.Progress)
	if err != nil {
		return err
	}
	p.log.Info("captioned", "items", stats.Captioned, "pictures", stats.Asked, "from_before", stats.Resumed, "at_once", stats.Batch, "provider", stats.Provider)
	if without := stats.Pictures - stats.Captioned; without > 0 {
		p.log.Warn("pictures without a caption", "items", without, "first", stats.Reason)
	}
	return nil
}

// captioner says what captions, and how it is asked.
func (p *pipeline) captioner() caption.ModelOptions {
	c := p.Config.Captioner
	return caption.ModelOptions{File: c.Model, Prompt: c.Prompt, MaxTokens: c.MaxTokens, Beams: c.Beams, Batch: c.Batch, ORT: p.ort()}
}

// captions is the table of captions that prompts are made of; "" is none.
func (p *pipeline) captions() string {
	if p.Config.Captioner.Model == "" || p.Config.Ranker.Captions == captionsNone {
		return ""
	}
	return p.path(caption.TableFile)
}

// captionsOnly says whether captions stand in the place of titles.
func (p *pipeline) captionsOnly() bool {
	return p.captions() != "" && p.Config.Ranker.Captions == captionsOnly
}

// promptTables are the tables of what prompts say of items.
func (p *pipeline) promptTables() []string {
	tables := []string{p.path("items.parquet")}
	if captions := p.captions(); captions != "" {
		tables = append(tables, captions)
	}
	return tables
}

// withoutCaptioner is a line for people whose language model would read captions and gets none; "" where it gets them, or where
// none are asked for.
func (p *pipeline) withoutCaptioner() string {
	if c := p.Config; c.Ranker.Base == "" || c.Ranker.Captions == captionsNone || c.Captioner.Model != "" {
		return ""
	}
	return "no captioner is configured (captioner.model): the language model reads titles alone"
}
