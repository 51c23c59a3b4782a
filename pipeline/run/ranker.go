package run

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"mllm4rec/data/prompt"
	"mllm4rec/pipeline/rank"
	"mllm4rec/pipeline/stage"
)

// The files of the ranker in the run folder.
const (
	rankerFolder  = "ranker"
	adapterFolder = "ranker/adapter"
	negativesFile = "ranker/negatives.parquet"
	rankerModel   = "ranker.onnx"
)

// rankerStages are those between candidates and evaluate; none where the recipe has no language model.
func (p *pipeline) rankerStages() []stage.Stage {
	if p.Config.Ranker.Base == "" {
		return nil
	}
	var stages []stage.Stage
	if p.trainsRanker() {
		stages = append(stages, p.trainRanker())
	}
	return append(stages, p.exportRanker(), p.rank())
}

// trainsRanker is false where the recipe keeps its adapter, or the bare model, as it is.
func (p *pipeline) trainsRanker() bool { return p.Config.Ranker.MaxSteps > 0 }

func (p *pipeline) rank() stage.Stage {
	return stage.Stage{
		Name: Rank, Version: 2, Config: p.promptConfig("seed", "candidates.k", "ranker.order", "ranker.orders"),
		Inputs: func() ([]string, error) {
			weights, err := external(p.path(rankerModel))
			vocabulary, vocabularyErr := p.tokenizerFiles()
			fixed := append(p.promptTables(), p.path("sequences.parquet"), p.path("candidates.parquet"), p.path(rankerModel))
			return append(append(fixed, weights...), vocabulary...), errors.Join(err, vocabularyErr)
		},
		Outputs: []string{rank.RankingsFile, rank.FusedFile, rank.FusionFile},
		Partial: []string{rank.PartsFolder}, Room: 20e6,
		Check: p.checkRuntime,
		Run:   p.rankUsers,
	}
}

func (p *pipeline) rankUsers(ctx context.Context) error {
	stats, err := rank.Run(ctx, rank.Options{
		Sequences: p.path("sequences.parquet"), Candidates: p.path("candidates.parquet"), Out: p.dir, Model: p.rankModel(),
	}, p.Progress)
	if err != nil {
		return err
	}
	f := stats.Fusion
	p.log.Info("ranked", "lists", stats.Lists, "from_before", stats.Resumed, "provider", stats.Provider)
	p.tellCut(stats.Cut)
	if f.FittedOn == 0 {
		p.log.Warn("no user's validation answer is among the candidates: ranker and retriever are mixed evenly, unfitted")
		return nil
	}
	p.log.Info("fused", "retriever_weight", f.RetrieverWeight, "lists", f.FittedOn, "val_ndcg@10_ranker", f.Ranker, "val_ndcg@10_retriever", f.Retriever, "val_ndcg@10_fused", f.Fused)
	return nil
}

func (p *pipeline) tellCut(cut prompt.Cut) {
	if cut != (prompt.Cut{}) {
		p.log.Warn("prompts had to be cut", "titles", cut.Titles, "captions", cut.Captions, "history_items", cut.History)
	}
}

// rankModel says what ranks and how it is asked.
func (p *pipeline) rankModel() rank.ModelOptions {
	c := p.Config.Ranker
	return rank.ModelOptions{
		File: p.path(rankerModel), Tokenizer: p.tokenizer(), Template: c.Template, Limits: p.promptLimits(), Items: p.path("items.parquet"),
		Captions: p.captions(), CaptionsOnly: p.captionsOnly(),
		Candidates: p.Config.Candidates.K, Order: c.Order, Orders: c.Orders, Seed: p.Config.Seed, ORT: p.ort(),
	}
}

// promptConfig is the named part of the recipe and all that a prompt depends on. Of the template the wording counts, not
// where it lies.
func (p *pipeline) promptConfig(names ...string) map[string]any {
	config := p.Config.Section(append(names, "ranker.history", "ranker.title_tokens", "ranker.max_tokens")...)
	delete(config, "ranker.captions")
	if p.captions() != "" { // otherwise it says nothing, and runs from before there were captions stay as they are
		config["ranker.captions"] = p.Config.Ranker.Captions
	}
	config["ranker.template"] = p.Config.Ranker.Template
	if template, err := prompt.Load(p.Config.Ranker.Template); err == nil { // checkRanker says what is wrong otherwise
		config["ranker.template"] = template.Fingerprint()
	}
	return config
}

func (p *pipeline) promptLimits() prompt.Limits {
	c := p.Config.Ranker
	return prompt.Limits{History: c.History, TextTokens: c.TitleTokens, PromptTokens: c.MaxTokens}
}

// tokenizer is the file or folder with the vocabulary.
func (p *pipeline) tokenizer() string {
	if c := p.Config.Ranker; c.Tokenizer != "" {
		return c.Tokenizer
	}
	return p.Config.Ranker.Base
}

// baseFiles are the files of the language model: one, or those of a Hugging Face folder that say what it is.
func (p *pipeline) baseFiles() ([]string, error) {
	return modelFiles(p.Config.Ranker.Base, "config.json", "*.safetensors", "*.safetensors.index.json")
}

// tokenizerFiles are those of the vocabulary. Beside a tokenizer.json others tell which tokens begin and end a text.
func (p *pipeline) tokenizerFiles() ([]string, error) {
	path := p.tokenizer()
	if info, err := os.Stat(path); err != nil || info.IsDir() || strings.EqualFold(filepath.Ext(path), ".gguf") {
		return modelFiles(path, "tokenizer.json", "tokenizer_config.json", "config.json")
	}
	beside, err := modelFiles(filepath.Dir(path), "tokenizer_config.json", "config.json")
	return append([]string{path}, beside...), err
}
