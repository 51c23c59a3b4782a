package main

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"

	"github.com/spf13/cobra"

	"mllm4rec/pipeline/images"
	"mllm4rec/pipeline/run"
)

// workerVariable names the environment variable that holds the path of the training worker.
const workerVariable = "MLLM4REC_TRAIN"

type runOptions struct {
	from, until string
	force       []string
	// text is the summary for people.
	text func(run.Summary) string
}

func newRun(a *app) *cobra.Command {
	options := runOptions{text: run.Summary.Text}
	cmd := &cobra.Command{
		Use: "run", Short: "Do everything: tables, training, ONNX file, candidates, metrics, report", Args: noArgs,
		Long: "Bring a run folder up to date, stage by stage: download (where the recipe has no path), prepare, images (where\n" +
			"images.source says where they come from), caption (where the recipe has a captioner), train, export, candidates,\n" +
			"train-ranker, export-ranker, rank (where it has a language model), evaluate, report. A stage whose settings and inputs\n" +
			"have not changed is skipped; a run that was stopped or killed goes on where it was.",
		Example: "  mllm4rec run -c ml-100k\n  mllm4rec run -c mine.yaml --set retriever.dropout=0.5 --from train",
		RunE:    func(cmd *cobra.Command, _ []string) error { return runRun(cmd.Context(), a, options) },
	}
	cmd.Flags().StringVar(&options.from, "from", "", "first stage; those before must have run")
	cmd.Flags().StringVar(&options.until, "until", "", "last stage")
	cmd.Flags().StringSliceVar(&options.force, "force", nil, "stages that run again although nothing changed")
	for _, name := range []string{"from", "until", "force"} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(run.StageNames(), cobra.ShellCompDirectiveNoFileComp)) // fails for unknown flags only
	}
	return cmd
}

// newStage is a command that runs a part of the pipeline: the stages from first until last, mostly one.
func newStage(a *app, use, short, first, last string) *cobra.Command {
	var force bool
	options := runOptions{from: first, until: last, text: run.Summary.Text}
	if last == run.Evaluate {
		options.text = run.Summary.AllMetrics
	}
	cmd := &cobra.Command{
		Use: use, Short: short, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if force {
				options.force = []string{last}
			}
			return runRun(cmd.Context(), a, options)
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "run although nothing changed")
	return cmd
}

func newPrepare(a *app) *cobra.Command {
	return newStage(a, "prepare", "Turn raw logs into tables (and download them where the recipe has no path)", "", run.Prepare)
}

func newFetch(a *app) *cobra.Command {
	return group("fetch", "Fetch what belongs to the items",
		newStage(a, "images", "Fetch the items' pictures from their addresses, a folder or TMDb (images.source)", run.Images, run.Images))
}

func newTrain(a *app) *cobra.Command {
	return group("train", "Train a model",
		newStage(a, "retriever", "Train the LRURec retriever", run.Train, run.Train),
		newStage(a, "ranker", "Fine-tune the language model that ranks, by LoRA", run.TrainRanker, run.TrainRanker))
}

func newExport(a *app) *cobra.Command {
	return group("export", "Export a model to ONNX",
		newStage(a, "retriever", "Write retriever.onnx from the trained weights", run.Export, run.Export),
		newStage(a, "ranker", "Write ranker.onnx from the language model with its adapter merged", run.ExportRanker, run.ExportRanker),
		newExportCaptioner(a))
}

func newCandidates(a *app) *cobra.Command {
	return newStage(a, "candidates", "Let the retriever propose candidates for every user", run.Candidates, run.Candidates)
}

func newRank(a *app) *cobra.Command {
	return newStage(a, "rank", "Let the language model rank the candidates of every user", run.Rank, run.Rank)
}

func newEvaluate(a *app) *cobra.Command {
	return newStage(a, "evaluate", "Measure the retriever, the ranker where there is one, and the baselines", run.Evaluate, run.Evaluate)
}

func newReport(a *app) *cobra.Command {
	return newStage(a, "report", "Write report.html", run.Report, run.Report)
}

func runRun(ctx context.Context, a *app, options runOptions) error {
	loaded, err := a.load(true)
	if err != nil {
		return err
	}
	tmdbKey, _ := a.sys.lookup(images.TMDbKey)
	summary, err := run.Run(ctx, run.Options{
		Config: loaded, Worker: a.worker(), TMDbKey: tmdbKey, Version: version,
		From: options.from, Until: options.until, Force: options.force,
		Log: a.log(), Progress: a.printer(),
	})
	if err != nil {
		return err
	}
	return a.print(options.text(summary), summary)
}

// worker is where the training worker should be: what the environment says, else beside this program.
func (a *app) worker() string {
	if path, ok := a.sys.lookup(workerVariable); ok && path != "" {
		return path
	}
	return filepath.Join(filepath.Dir(a.sys.executable), "mllm4rec-train")
}

// log is for people, or nil where --json asks for quiet.
func (a *app) log() slog.Handler {
	if a.json {
		return nil
	}
	if !a.sys.terminal {
		return run.NewTextLog(a.sys.stderr)
	}
	return run.NewTextLog(overBar{a.sys.stderr})
}

// overBar writes a line over the progress bar, which the next step draws anew below.
type overBar struct{ out io.Writer }

func (o overBar) Write(line []byte) (int, error) {
	if _, err := io.WriteString(o.out, "\r\x1b[K"); err != nil {
		return 0, err
	}
	return o.out.Write(line)
}
