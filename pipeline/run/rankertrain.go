package run

import (
	"context"
	"errors"
	"os"

	"mllm4rec/data/prompt"
	"mllm4rec/export/llama"
	"mllm4rec/internal/atomicfile"
	"mllm4rec/pipeline/retrieve"
	"mllm4rec/pipeline/stage"
	"mllm4rec/pipeline/worker"
)

// trainRanker fine-tunes the language model.
func (p *pipeline) trainRanker() stage.Stage {
	config := p.promptConfig("seed", "candidates.k", "ranker")
	for _, key := range []string{"checkpoint_every", "activation_bytes", "export", "orders", "base", "tokenizer", "init_adapter"} {
		delete(config, "ranker."+key) // of no effect on the weights, or inputs by their contents
	}
	if p.Config.Ranker.Device == "cpu" {
		delete(config, "ranker.device") // as it was before there was a choice
	}
	return stage.Stage{
		Name: TrainRanker, Version: 2, Config: config,
		Inputs:  p.rankerInputs,
		Outputs: []string{adapterFolder + "/adapter_model.safetensors", adapterFolder + "/adapter_config.json", rankerFolder + "/train_log.jsonl"},
		Partial: []string{rankerFolder},
		GoesOn:  goesOn("ranker", config),
		Room:    50e6,
		Check:   p.checkRanker,
		Run:     p.runRankerTraining,
	}
}

// rankerInputs are everything that training reads.
func (p *pipeline) rankerInputs() ([]string, error) {
	base, err := p.baseFiles()
	vocabulary, vocabularyErr := p.tokenizerFiles()
	adapter, adapterErr := p.initAdapterFiles()
	files := append(p.promptTables(), p.path("sequences.parquet"), p.path("candidates.parquet"))
	if p.Config.Ranker.Negatives != "random" {
		retriever, retrieverErr := p.retrieverFiles()
		files, err = append(files, retriever...), errors.Join(err, retrieverErr)
	}
	files = append(append(append(files, base...), vocabulary...), adapter...)
	return files, errors.Join(err, vocabularyErr, adapterErr)
}

func (p *pipeline) initAdapterFiles() ([]string, error) {
	if p.Config.Ranker.InitAdapter == "" {
		return nil, nil
	}
	return modelFiles(p.Config.Ranker.InitAdapter, "adapter_config.json", "adapter_model.safetensors")
}

func (p *pipeline) runRankerTraining(ctx context.Context) error {
	if err := atomicfile.Sweep(p.path(rankerFolder)); err != nil {
		return err
	}
	if err := p.writeNegatives(ctx); err != nil {
		return err
	}
	if err := p.tellStart(); err != nil {
		return err
	}
	bar := &trainBar{p: p, stage: TrainRanker, metric: "ndcg@10"}
	result, err := worker.TrainRanker(ctx, p.Worker, p.rankerSpec(), bar.event)
	bar.finish()
	if err != nil {
		return err
	}
	p.log.Info("trained", "steps", result.Steps, "samples", result.Samples, "of", result.SamplesInAll, "best_step", result.BestStep,
		"ndcg@10", result.Best["ndcg@10"], "validation_users", result.ValidationUsers, "ended_by", result.Reason)
	cut := result.Truncated
	p.tellCut(prompt.Cut{Titles: cut["titles"], Captions: cut["captions"], History: cut["history"]})
	if result.BestStep == 0 {
		p.log.Warn("training did not get better than what it started from, which is what is kept", "stage", TrainRanker)
	}
	return nil
}

// tellStart says what ranker.rank, alpha and targets are not where training starts from an adapter: its own count.
func (p *pipeline) tellStart() error {
	path := p.Config.Ranker.InitAdapter
	if path == "" {
		return nil
	}
	start, err := llama.ReadAdapter(path)
	if err != nil {
		return err
	}
	p.log.Info("starts from an adapter, whose form counts", "adapter", path, "rank", start.Rank, "alpha", start.Scale()*float64(start.Rank), "targets", start.Targets())
	return nil
}

// writeNegatives lets the retriever propose wrong answers for the training prompts, unless a run that was stopped has.
func (p *pipeline) writeNegatives(ctx context.Context) error {
	path := p.path(negativesFile)
	if _, err := os.Stat(path); err == nil || p.Config.Ranker.Negatives == "random" {
		return nil
	}
	prefixes, err := retrieve.Negatives(ctx, retrieve.Options{
		Sequences: p.path("sequences.parquet"), Model: p.path("retriever.onnx"), Out: path, K: p.Config.Candidates.K, ORT: p.ort(),
	}, p.Progress)
	if err == nil {
		p.log.Info("collected hard negatives", "prefixes", prefixes)
	}
	return err
}

func (p *pipeline) rankerSpec() worker.RankerSpec {
	c := p.Config.Ranker
	s := worker.DefaultRanker()
	s.Base, s.Tokenizer, s.Init, s.Out = c.Base, c.Tokenizer, c.InitAdapter, p.path(rankerFolder)
	s.Sequences, s.Items, s.Validation = p.path("sequences.parquet"), p.path("items.parquet"), p.path("candidates.parquet")
	s.Captions, s.CaptionsOnly = p.captions(), p.captionsOnly()
	s.Template, s.History, s.TextTokens, s.PromptTokens = c.Template, c.History, c.TitleTokens, c.MaxTokens
	s.Candidates, s.Positives, s.Negatives, s.Rehearsal, s.Order = p.Config.Candidates.K, c.Positives, c.Negatives, c.RehearsalSteps, c.Order
	if c.Negatives != "random" {
		s.NegativesTable = p.path(negativesFile)
	}
	s.Targets, s.Rank, s.Alpha, s.Dropout, s.Precision, s.Loss = c.Targets, c.Rank, c.Alpha, c.Dropout, c.Precision, c.Loss
	s.ActivationBytes = c.ActivationBytes
	s.Batch, s.MicroTokens, s.LearningRate, s.Warmup, s.WeightDecay, s.ClipNorm = c.Batch, c.BatchTokens, c.LearningRate, c.WarmupSteps, c.WeightDecay, c.Clip
	s.Schedule = c.Schedule
	s.MaxSteps, s.MaxMinutes, s.ValidateEvery, s.ValidationUsers = c.MaxSteps, c.MaxMinutes, c.ValidateEvery, c.ValidateUsers
	s.Patience, s.CheckpointEvery, s.Seed, s.Threads = c.Patience, c.CheckpointEvery, p.Config.Seed, c.Threads
	s.Device, s.GPU = c.Device, p.Config.Runtime.Device
	return s
}
