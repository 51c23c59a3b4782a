package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"mllm4rec/export/matrix"
	"mllm4rec/internal/fail"
	"mllm4rec/pipeline/caption"
)

// newExportCaptioner needs no recipe: people who want captions and nothing else have none.
func newExportCaptioner(a *app) *cobra.Command {
	var options caption.ExportOptions
	var precision string
	cmd := &cobra.Command{
		Use: "captioner", Short: "Write a captioner from the Hugging Face folder of a BLIP-2 model with an OPT decoder", Args: noArgs,
		Long: "Write a captioner as one ONNX file from the Hugging Face folder of a Blip2ForConditionalGeneration with an OPT decoder,\n" +
			"such as blip2-opt-2.7b. Weights above 1 GiB go into a file beside it, OUT.data; the vocabulary goes into the file. It\n" +
			"needs no recipe, and memory for the largest matrix only.",
		Example: "  mllm4rec export captioner --model blip2-opt-2.7b --out captioner.onnx --precision int8",
		RunE: func(cmd *cobra.Command, _ []string) error {
			options.Precision = matrix.Precision(precision)
			return runExportCaptioner(cmd.Context(), a, options)
		},
	}
	cmd.Flags().StringVar(&options.Model, "model", "", "the model's folder")
	cmd.Flags().StringVar(&options.Out, "out", "captioner.onnx", "the file to write")
	cmd.Flags().StringVar(&precision, "precision", string(matrix.FP32), fmt.Sprintf("form of the weights: %v", matrix.Precisions()))
	return cmd
}

func runExportCaptioner(ctx context.Context, a *app, options caption.ExportOptions) error {
	switch {
	case options.Model == "":
		return fail.Usagef("name the model's folder with --model")
	case options.Out == "":
		return fail.Usagef("--out is empty; leave it out, or name a file")
	case a.recipe != "" || a.run != "" || len(a.set) > 0:
		return fail.Usagef("export captioner reads no recipe: leave --config, --run and --set out")
	}
	done, err := caption.Export(ctx, options)
	if err != nil {
		return err
	}
	return a.print(done.Text(), done)
}
