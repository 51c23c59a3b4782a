package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"mllm4rec/internal/fail"
	"mllm4rec/pipeline/caption"
	"mllm4rec/pipeline/run"
)

// newCaption needs no recipe, and takes of one the section runtime alone.
func newCaption(a *app) *cobra.Command {
	var options caption.Options
	cmd := &cobra.Command{
		Use: "caption", Short: "Caption the pictures of a folder", Args: noArgs,
		Long: "Caption the pictures of a folder and of those in it, with a captioner that export captioner wrote. Files count by their\n" +
			"ending; names that begin with a dot and links to folders do not. OUT has the columns image (the file's name in the\n" +
			"folder), caption, image_sha256, model (the captioner's fingerprint) and reason, which says why there is no caption. The\n" +
			"same picture is captioned once. With --json each row goes to stdout as a line as soon as it is safe.\n\n" +
			"A run that was stopped or killed goes on behind its last batch when called the same way; until OUT is there, OUT.parts\n" +
			"keeps what is finished. It needs no recipe: --set runtime.providers=cuda and the like say what it runs on.",
		Example: "  mllm4rec caption --model captioner.onnx --images photos --out captions.parquet\n" +
			"  mllm4rec caption --model captioner.onnx --images photos --prompt \"Question: what is this? Answer:\" --beams 5 --json",
		RunE: func(cmd *cobra.Command, _ []string) error { return runCaption(cmd.Context(), a, options) },
	}
	flags, model := cmd.Flags(), &options.Model
	flags.StringVar(&model.File, "model", "", "the captioner, an ONNX file")
	flags.StringVar(&options.Images, "images", "", "the folder with the pictures")
	flags.StringVar(&options.Out, "out", "captions.parquet", "the table to write")
	flags.StringVar(&model.Prompt, "prompt", "", "text that every caption goes on from")
	flags.IntVar(&model.MaxTokens, "max-tokens", 20, "tokens of a caption at most")
	flags.IntVar(&model.Beams, "beams", 1, "width of the beam search; 1 takes the likeliest token each time")
	flags.IntVar(&model.Batch, "batch", 0, fmt.Sprintf("pictures at once; 0 is as many as take about %d GiB beside the weights, at most %d", caption.BatchBytes>>30, caption.DefaultBatch))
	return cmd
}

func runCaption(ctx context.Context, a *app, options caption.Options) error {
	switch {
	case options.Model.File == "":
		return fail.Usagef("name the captioner with --model; export captioner makes one")
	case options.Images == "":
		return fail.Usagef("name the folder with the pictures with --images")
	case options.Out == "":
		return fail.Usagef("--out is empty; leave it out, or name a file")
	case options.Model.MaxTokens < 1:
		return fail.Usagef("--max-tokens %d: give 1 or more", options.Model.MaxTokens)
	case options.Model.Beams < 1:
		return fail.Usagef("--beams %d: give 1 or more", options.Model.Beams)
	}
	for _, set := range a.set {
		if !strings.HasPrefix(set, "runtime.") {
			return fail.Usagef("--set %s has no effect here: caption takes keys of runtime, and the rest by flags; see mllm4rec caption --help", set)
		}
	}
	loaded, err := a.load(false)
	if err != nil {
		return err
	}
	options.Model.ORT = run.ORT(loaded.Runtime, func(line string) { _, _ = fmt.Fprintln(a.sys.stderr, "warning: "+line) })
	if a.json {
		lines := json.NewEncoder(a.sys.stdout)
		lines.SetEscapeHTML(false)
		options.Each = func(row caption.Row) error { return lines.Encode(row) }
	}
	stats, err := caption.Run(ctx, options, a.printer())
	if err != nil || a.json {
		return err
	}
	_, err = fmt.Fprint(a.sys.stdout, stats.Text())
	return err
}
