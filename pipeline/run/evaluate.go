package run

import (
	"context"

	"mllm4rec/pipeline/evaluate"
	"mllm4rec/pipeline/stage"
)

func (p *pipeline) evaluate() stage.Stage {
	return stage.Stage{
		Name: Evaluate, Version: 1, Config: p.Config.Section("candidates.k"),
		Inputs: p.retrieverFiles, Outputs: []string{evaluate.ParquetFile, evaluate.JSONFile}, Room: 1e6,
		Check: p.checkRuntime,
		Run: func(ctx context.Context) error {
			_, err := evaluate.Run(ctx, evaluate.Options{
				Sequences: p.path("sequences.parquet"), Model: p.path("retriever.onnx"), Out: p.dir,
				Candidates: p.Config.Candidates.K, ORT: p.ort(),
			}, p.Progress)
			return err
		},
	}
}
