package run

import (
	"context"

	"mllm4rec/configs"
	"mllm4rec/pipeline/retrieve"
	"mllm4rec/pipeline/stage"
	"mllm4rec/runtime/ort"
)

func (p *pipeline) candidates() stage.Stage {
	return stage.Stage{
		Name: Candidates, Version: 1, Config: p.Config.Section("candidates"),
		Inputs: p.retrieverFiles, Outputs: []string{"candidates.parquet"}, Room: 10e6,
		Check: p.checkRuntime,
		Run:   p.propose,
	}
}

func (p *pipeline) propose(ctx context.Context) error {
	k := p.Config.Candidates.K
	stats, err := retrieve.Run(ctx, retrieve.Options{
		Sequences: p.path("sequences.parquet"), Model: p.path("retriever.onnx"), Out: p.path("candidates.parquet"), K: k, ORT: p.ort(),
	}, p.Progress)
	if err != nil {
		return err
	}
	p.log.Info("proposed", "users", stats.Users, "provider", stats.Provider)
	if stats.Short > 0 {
		p.log.Warn("lists are shorter than candidates.k: the catalogue has no more items outside the history", "lists", stats.Short, "k", k)
	}
	if stats.Repeats > 0 {
		p.log.Warn("answers stand in the user's own history, of which nothing is proposed: each counts as a miss", "lists", stats.Repeats, "of", 2*stats.Users)
	}
	return nil
}

// ort is how models are opened.
func (p *pipeline) ort() ort.Options {
	return ORT(p.Config.Runtime, func(line string) { p.log.Warn(line) })
}

// ORT is how a recipe wants its models opened, retriever, ranker and captioner alike; warn hears what people should know.
func ORT(c configs.Runtime, warn func(line string)) ort.Options {
	return ort.Options{
		Library: c.Library, Providers: c.Providers, Strict: c.Strict, Threads: c.Threads, Warn: warn,
		Device: ort.Device{ID: c.Device, MemoryBytes: c.MemoryBytes, Cache: c.TensorRTCache, FP16: c.TensorRTFP16, INT8: c.TensorRTINT8},
	}
}

// checkRuntime finds out before the training whether the models can run after it.
func (p *pipeline) checkRuntime() error { return ort.Check(p.ort()) }
