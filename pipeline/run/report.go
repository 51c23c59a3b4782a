package run

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"mllm4rec/configs"
	"mllm4rec/pipeline/caption"
	"mllm4rec/pipeline/images"
	"mllm4rec/pipeline/rank"
	"mllm4rec/pipeline/report"
	"mllm4rec/pipeline/retrieve"
	"mllm4rec/pipeline/stage"
)

func (p *pipeline) report() stage.Stage {
	config := p.Config.Section("name", "seed", "report")
	if note := p.withoutCaptioner(); note != "" {
		config["note on the captioner"] = note
	}
	return stage.Stage{
		Name: Report, Version: 3, Config: config, Outputs: []string{report.FileName}, Room: 1e6,
		Inputs: p.reportedFiles,
		Check:  p.checkBeside,
		Run:    p.writeReport,
	}
}

// reportedFiles are those of every run, and the ranker's where there is one.
func (p *pipeline) reportedFiles() ([]string, error) {
	names := []string{"items.parquet", "sequences.parquet", "candidates.parquet", "metrics.parquet", "prepare.json", "train_log.jsonl"}
	if p.Config.Ranker.Base != "" {
		names = append(names, rank.RankingsFile, rank.FusionFile)
		if p.trainsRanker() {
			names = append(names, rankerFolder+"/train_log.jsonl")
		}
	}
	if p.Config.Images.Source != "" {
		names = append(names, images.TableFile)
	}
	if p.hasCaptions() {
		names = append(names, caption.TableFile)
	}
	files, err := p.paths(names...)()
	return append(files, p.besideFiles()...), err
}

func (p *pipeline) writeReport(ctx context.Context) error {
	options := report.Options{
		Title: reportTitle(p.Config.Config), Seed: p.Config.Seed, Version: p.Version, Date: time.Now(),
		Machine: fmt.Sprintf("%d cores, %s/%s", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH), Note: p.withoutCaptioner(),
		Pictures: p.Config.Images.Source != "", Captions: p.hasCaptions(), RankerTrained: p.trainsRanker(),
	}
	if p.Config.Ranker.Base != "" {
		options.Prompt = p.promptOf
	}
	times, err := stage.Times(p.dir)
	if err != nil {
		return err
	}
	for _, s := range p.stages() { // the manifest may hold others, of an earlier recipe
		if took, ok := times[s.Name]; ok {
			options.Stages = append(options.Stages, report.Stage{Name: s.Name, Duration: took})
		}
	}
	options.Beside = p.beside()
	for _, figure := range p.Config.Report.Published {
		options.Published = append(options.Published, report.Published(figure))
	}
	return report.Write(ctx, p.dir, options)
}

// promptOf is the prompt of a user of the test split, as text.
func (p *pipeline) promptOf(user int32) (string, error) {
	shown, err := ShowPrompt(p.Config, Who{User: user, Split: retrieve.Test})
	return shown.Prompt, err
}

func reportTitle(config configs.Config) string {
	if config.Report.Title != "" {
		return config.Report.Title
	}
	return config.Name
}
