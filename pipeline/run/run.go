// Package run wires the stages of a whole run: download → prepare → train → export → candidates → evaluate → report. A
// checked recipe flows in; the run folder with its tables, models and report flows out. What a stage does lies in a room
// of its own; here stands what each reads, writes and depends on.
package run

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"

	"mllm4rec/configs"
	"mllm4rec/internal/atomicfile"
	"mllm4rec/internal/progress"
	"mllm4rec/pipeline/stage"
)

// Options say what to run.
type Options struct {
	Config *configs.Loaded
	// Worker is the path of mllm4rec-train.
	Worker string
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
	Download   = "download"
	Prepare    = "prepare"
	Train      = "train"
	Export     = "export"
	Candidates = "candidates"
	Evaluate   = "evaluate"
	Report     = "report"
)

// StageNames lists the stages in order. Download is there only where the recipe has no path.
func StageNames() []string {
	return []string{Download, Prepare, Train, Export, Candidates, Evaluate, Report}
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
	runner := &stage.Runner{Dir: p.dir, From: options.From, Until: options.Until, Force: options.Force, Log: p.log, Begin: p.begin}
	outcomes, err := runner.Run(ctx, p.stages())
	if err != nil {
		p.fileLog.Error("stopped", "error", err.Error())
		return Summary{}, err
	}
	return p.sum(outcomes)
}

// begin makes sure that there is room for what the stages write, and writes what the run is made with into its folder, for
// --run and for whoever finds the folder later.
func (p *pipeline) begin(room int64) error {
	if err := stage.CheckFolder(p.dir, room); err != nil {
		return err
	}
	text, err := p.Config.YAML()
	if err != nil {
		return err
	}
	head := "# What this run was made with, defaults included.\n"
	return atomicfile.WriteFile(p.path("recipe.yaml"), append([]byte(head), text...))
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
	return append(stages, p.prepare(), p.train(), p.export(), p.candidates(), p.evaluate(), p.report())
}
