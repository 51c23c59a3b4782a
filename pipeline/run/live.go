package run

import (
	"log/slog"

	"mllm4rec/configs"
	"mllm4rec/pipeline/recommend"
)

// Live says how the run of a recipe is opened for live use, with its language model and its captioner where it has them. log
// hears what the user should know of the runtime.
func Live(config *configs.Loaded, log *slog.Logger) recommend.Options {
	p := &pipeline{Options: Options{Config: config}, dir: config.Out, log: log}
	o := recommend.Options{Dir: p.dir, Name: config.Name, K: config.Candidates.K, CacheBytes: config.Serve.CacheBytes, ORT: p.ort(),
		Captions: p.hasCaptions(), Pictures: config.Images.Source != ""}
	if config.Ranker.Base != "" || config.Ranker.Tokenizer != "" {
		ranker := p.rankModel()
		o.Ranker = &ranker
	}
	if config.Captioner.Model != "" {
		captioner := p.captioner().Model
		o.Captioner = &captioner
	}
	return o
}
