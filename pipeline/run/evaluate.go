package run

import (
	"context"

	"mllm4rec/pipeline/evaluate"
	"mllm4rec/pipeline/rank"
	"mllm4rec/pipeline/stage"
)

func (p *pipeline) evaluate() stage.Stage {
	return stage.Stage{
		Name: Evaluate, Version: 1, Config: p.Config.Section("candidates.k"),
		Inputs: p.measuredFiles, Outputs: []string{evaluate.ParquetFile, evaluate.JSONFile}, Room: 1e6,
		Check: p.checkRuntime,
		Run: func(ctx context.Context) error {
			o := evaluate.Options{
				Sequences: p.path("sequences.parquet"), Model: p.path("retriever.onnx"), Out: p.dir,
				Candidates: p.Config.Candidates.K, ORT: p.ort(),
			}
			if p.Config.Ranker.Base != "" {
				o.Rankings, o.Fused = p.path(rank.RankingsFile), p.path(rank.FusedFile)
			}
			_, err := evaluate.Run(ctx, o, p.Progress)
			return err
		},
	}
}

// measuredFiles are the retriever's, and the ranker's lists where there is a ranker.
func (p *pipeline) measuredFiles() ([]string, error) {
	files, err := p.retrieverFiles()
	if p.Config.Ranker.Base != "" {
		files = append(files, p.path(rank.RankingsFile), p.path(rank.FusedFile))
	}
	return files, err
}
