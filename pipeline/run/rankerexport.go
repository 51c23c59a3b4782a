package run

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"mllm4rec/export/llama"
	"mllm4rec/internal/doctor"
	"mllm4rec/pipeline/rank"
	"mllm4rec/pipeline/stage"
)

func (p *pipeline) exportRanker() stage.Stage {
	return stage.Stage{
		Name: ExportRanker, Version: 3, Config: p.promptConfig("candidates.k", "ranker.export"),
		Inputs: func() ([]string, error) {
			base, err := p.baseFiles()
			vocabulary, vocabularyErr := p.tokenizerFiles()
			adapter, adapterErr := p.adapterFiles()
			return append(append(base, vocabulary...), adapter...), errors.Join(err, vocabularyErr, adapterErr)
		},
		Outputs: []string{rankerModel}, Room: 700e6,
		Found: func() ([]string, error) { return external(p.path(rankerModel)) },
		Check: p.checkRanker,
		Run:   p.writeRanker,
	}
}

// adapterFolder is where the adapter lies that is merged: the trained one, or what the recipe starts from; "" is none.
func (p *pipeline) adapterFolder() string {
	if p.trainsRanker() {
		return p.path(adapterFolder)
	}
	return p.Config.Ranker.InitAdapter
}

func (p *pipeline) adapterFiles() ([]string, error) {
	folder := p.adapterFolder()
	if folder == "" {
		return nil, nil
	}
	return modelFiles(folder, "adapter_config.json", "adapter_model.safetensors")
}

func (p *pipeline) writeRanker(ctx context.Context) (err error) {
	base, err := llama.Open(p.Config.Ranker.Base)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, base.Close()) }()
	var adapter *llama.Adapter
	if folder := p.adapterFolder(); folder != "" {
		if adapter, err = llama.ReadAdapter(folder); err != nil {
			return err
		}
		if err := adapter.Fits(base); err != nil {
			return err
		}
	}
	options, err := rank.ExportOptions(p.rankModel())
	if err != nil {
		return err
	}
	options.Precision = llama.Precision(p.Config.Ranker.Export)
	if err := llama.Export(ctx, base, adapter, p.path(rankerModel), options); err != nil || options.Precision == llama.FP32 {
		return err
	}
	left, _, err := doctor.LeftMemory()
	if err != nil {
		left = math.MaxInt64 // nobody knows: it is tried
	}
	if err := float32Fits(base, p.dir, left); err != nil {
		p.log.Warn("not compared with float32: nothing tells what the precision costs", "precision", options.Precision, "why", err.Error())
		return nil
	}
	return p.compareRanker(ctx, base, adapter, options)
}

// float32Fits makes sure that the model in float32, which people choose another precision for, fits into dir and into so many
// bytes of memory: Linux kills who takes more, and would again each time. ONNX Runtime holds what it loads and what it packs of
// it, 1.8 times the file of SmolLM2-135M at its peak.
func float32Fits(base *llama.Checkpoint, dir string, left int64) error {
	need := int64(0)
	for _, name := range base.Names() {
		_, shape, err := base.Info(name)
		if err != nil {
			return err
		}
		size := int64(4)
		for _, n := range shape {
			size *= n
		}
		need += size
	}
	if 2*need > left {
		return fmt.Errorf("it takes about %.1f GB of memory, %.1f GB are left", float64(2*need)/1e9, float64(left)/1e9)
	}
	return stage.CheckFolder(dir, "--run", need)
}

// comparedLists are ranked in both precisions: a minute or two on a CPU.
const comparedLists = 64

// compareRanker tells what the exported precision costs, so that nobody ships a broken one unaware.
func (p *pipeline) compareRanker(ctx context.Context, base *llama.Checkpoint, adapter *llama.Adapter, options llama.Options) (err error) {
	dir, err := os.MkdirTemp(p.dir, ".compare.tmp-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	precision, exact := options.Precision, filepath.Join(dir, rankerModel)
	options.Precision = llama.FP32
	if err := llama.Export(ctx, base, adapter, exact, options); err != nil {
		return err
	}
	quality, err := rank.Compare(ctx, rank.Options{
		Sequences: p.path("sequences.parquet"), Candidates: p.path("candidates.parquet"), Model: p.rankModel(),
	}, exact, comparedLists)
	if err != nil {
		return err
	}
	if quality.Lists == 0 {
		p.log.Warn("no validation list holds its answer: nothing tells what the precision costs", "precision", precision)
		return nil
	}
	p.log.Info("compared with float32", "precision", precision, "lists", quality.Lists, "same_first", quality.Agreement,
		"ndcg@10", quality.NDCG, "ndcg@10_float32", quality.Exact)
	return nil
}
