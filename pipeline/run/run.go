// Package run wires the stages of a whole run: download → prepare → (images → caption →) train → export → candidates →
// (train-ranker → export-ranker → rank →) evaluate → report. A checked recipe flows in; the run folder with its tables,
// models and report flows out. What a stage does lies in a room of its own; here stands what each reads, writes and depends on.
package run

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"

	"mllm4rec/configs"
	"mllm4rec/internal/atomicfile"
	"mllm4rec/internal/fail"
	"mllm4rec/internal/progress"
	"mllm4rec/pipeline/stage"
)

// Options say what to run.
type Options struct {
	Config *configs.Loaded
	// Worker is the path of mllm4rec-train.
	Worker string
	// TMDbKey is the API key of TMDb, for images.source tmdb.
	TMDbKey string
	// Version is the program's version, for the report.
	Version string
	// From, Until and Force are those of stage.Runner.
	From, Until string
	Force       []string
	// Log is where the run tells people what happens; the run folder's log.jsonl gets the same. nil tells nobody.
	Log slog.Handler
	// Progress shows bars. nil is silent.
	Progress *progress.Printer
}

// The names of the stages, as the command line has them.
const (
	Download     = "download"
	Prepare      = "prepare"
	Images       = "images"
	Caption      = "caption"
	Train        = "train"
	Export       = "export"
	Candidates   = "candidates"
	TrainRanker  = "train-ranker"
	ExportRanker = "export-ranker"
	Rank         = "rank"
	Evaluate     = "evaluate"
	Report       = "report"
)

// StageNames lists the stages in order. Download is there only where the recipe has no path, images only where it says
// where they come from, caption only where it has a captioner or their table, those from train-ranker to rank only where it has a language model.
func StageNames() []string {
	return []string{Download, Prepare, Images, Caption, Train, Export, Candidates, TrainRanker, ExportRanker, Rank, Evaluate, Report}
}

// pipeline is one run under way.
type pipeline struct {
	Options
	dir string
	// log tells people and log.jsonl; fileLog the latter alone, what people hear otherwise.
	log, fileLog *slog.Logger
}

// Run brings the run folder up to date and sums it up. Only one Run may work in a folder; a second gets an error at once.
func Run(ctx context.Context, options Options) (summary Summary, err error) {
	p := &pipeline{Options: options, dir: options.Config.Out}
	stages := p.stages()
	runner := &stage.Runner{Dir: p.dir, From: options.From, Until: options.Until, Force: options.Force, Begin: p.begin}
	if err := p.checkNames(); err != nil {
		return Summary{}, err
	}
	if err := runner.CheckNames(stages); err != nil {
		return Summary{}, err
	}
	lock, err := stage.Acquire(p.dir)
	if err != nil {
		return Summary{}, err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	closeLog, err := p.openLog()
	if err != nil {
		return Summary{}, err
	}
	defer func() { err = errors.Join(err, closeLog()) }()
	if note := p.withoutCaptioner(); note != "" {
		p.log.Info(note)
	}
	runner.Log = p.log
	outcomes, err := runner.Run(ctx, stages)
	if err != nil {
		p.fileLog.Error("stopped", "error", err.Error())
		return Summary{}, err
	}
	return p.sum(outcomes)
}

// begin makes sure that there is room for what the stages write, and writes what the run is made with into its folder, for
// --run and for whoever finds the folder later.
func (p *pipeline) begin(room int64) error {
	if err := stage.CheckFolder(p.dir, "--run", room); err != nil {
		return err
	}
	text, err := p.Config.YAML()
	if err != nil {
		return err
	}
	head := "# What this run was made with, defaults included.\n"
	return atomicfile.WriteFile(p.path(recipeFile), append([]byte(head), text...))
}

// path is a file in the run folder.
func (p *pipeline) path(name string) string { return filepath.Join(p.dir, name) }

// paths names files of the run folder as a stage's inputs.
func (p *pipeline) paths(names ...string) func() ([]string, error) {
	return func() ([]string, error) {
		var paths []string
		for _, name := range names {
			paths = append(paths, p.path(name))
		}
		return paths, nil
	}
}

// stages lists the stages in order.
func (p *pipeline) stages() []stage.Stage {
	var stages []stage.Stage
	if p.Config.Data.Path == "" {
		stages = append(stages, p.download())
	}
	stages = append(stages, p.prepare())
	if p.Config.Images.Source != "" {
		stages = append(stages, p.images())
	}
	if p.hasCaptions() {
		stages = append(stages, p.caption())
	}
	stages = append(stages, p.train(), p.export(), p.candidates())
	stages = append(stages, p.rankerStages()...)
	return append(stages, p.evaluate(), p.report())
}

// checkNames refuses to begin or end at pictures or at the ranker where there are none.
func (p *pipeline) checkNames() error {
	for _, name := range append([]string{p.From, p.Until}, p.Force...) {
		if name == Images && p.Config.Images.Source == "" {
			return fail.Usagef("%s: the recipe fetches no pictures; say in images.source where they come from (url, folder, tmdb)", name)
		}
		if name == Caption && !p.hasCaptions() {
			return fail.Usagef("%s: the recipe has no captioner; name one in captioner.model (export captioner makes one), or a table in captioner.table", name)
		}
		if (name == TrainRanker || name == ExportRanker || name == Rank) && p.Config.Ranker.Base == "" {
			return fail.Usagef("%s: the recipe has no language model; name one in ranker.base (a Hugging Face folder or a GGUF file)", name)
		}
	}
	if (p.From == TrainRanker || p.Until == TrainRanker) && !p.trainsRanker() {
		return fail.Usagef("%s: ranker.max_steps is 0, which keeps the language model as it is", TrainRanker)
	}
	return nil
}
