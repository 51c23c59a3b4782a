package run

import (
	"context"
	"strings"

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
	for _, key := range []string{"model", "table"} {
		delete(config, "captioner."+key) // inputs, by their contents
	}
	delete(config, "captioner.batch") // of no effect beyond the last bits
	return stage.Stage{
		Name: Caption, Version: 2, Config: config,
		Inputs:  p.captionInputs,
		Outputs: []string{caption.TableFile}, Partial: []string{caption.TableFile + caption.PartsEnding}, Room: 20e6,
		Check: p.checkCaptioner, Run: p.captionItems,
	}
}

// hasCaptions says whether the items get captions at all.
func (p *pipeline) hasCaptions() bool {
	return p.Config.Captioner.Model != "" || p.Config.Captioner.Table != ""
}

func (p *pipeline) captionInputs() (files []string, _ error) {
	c := p.Config.Captioner
	if c.Table != "" {
		files = append(files, p.path("items.parquet"), c.Table)
	}
	if c.Model != "" {
		weights, err := external(c.Model)
		return append(append(files, p.path(images.TableFile), c.Model), weights...), err
	}
	return files, nil
}

func (p *pipeline) checkCaptioner() error {
	c := p.Config.Captioner
	if c.Table != "" {
		if err := caption.CheckTable(c.Table); err != nil {
			return err
		}
	}
	if c.Model == "" {
		return nil
	}
	if err := caption.Check(c.Model); err != nil {
		return err
	}
	return p.checkRuntime()
}

func (p *pipeline) captionItems(ctx context.Context) error {
	stats, err := caption.RunItems(ctx, p.captioner(), p.Progress)
	if err != nil {
		return err
	}
	if from := stats.Foreign; from.Rows > 0 {
		p.log.Info("took captions", "from", p.Config.Captioner.Table, "rows", from.Rows, "items", from.Used)
		for _, u := range from.Unused {
			p.log.Warn("rows without use", "of", p.Config.Captioner.Table, "rows", u.Rows, "reason", u.Reason, "first", strings.Join(u.First, ", "))
		}
	}
	if stats.Pictures == 0 {
		return nil
	}
	p.log.Info("captioned", "items", stats.Captioned, "pictures", stats.Asked, "from_before", stats.Resumed+stats.Kept, "at_once", stats.Batch, "provider", stats.Provider)
	if without := stats.Pictures - stats.Captioned; without > 0 {
		p.log.Warn("pictures without a caption", "items", without, "first", stats.Reason)
	}
	return nil
}

// captioner says what captions, and how it is asked.
func (p *pipeline) captioner() caption.ItemOptions {
	c := p.Config.Captioner
	return caption.ItemOptions{
		Dir: p.dir, Table: c.Table,
		Model: caption.ModelOptions{File: c.Model, Prompt: c.Prompt, MaxTokens: c.MaxTokens, Beams: c.Beams, Batch: c.Batch, ORT: p.ort()},
	}
}

// captions is the table of captions that prompts are made of; "" is none.
func (p *pipeline) captions() string {
	if !p.hasCaptions() || p.Config.Ranker.Captions == captionsNone {
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
	if c := p.Config; c.Ranker.Base == "" || c.Ranker.Captions == captionsNone || p.hasCaptions() {
		return ""
	}
	return "no captioner is configured (captioner.model): the language model reads titles alone"
}
