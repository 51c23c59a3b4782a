package run

import (
	"context"

	"mllm4rec/export/lrurec"
	"mllm4rec/pipeline/stage"
)

func (p *pipeline) export() stage.Stage {
	return stage.Stage{
		Name: Export, Version: 2, Inputs: p.paths("retriever.safetensors", "retriever.json"), Outputs: []string{"retriever.onnx"}, Room: 10e6,
		Found: p.externalWeights,
		Run: func(ctx context.Context) error {
			return lrurec.Export(ctx, p.path("retriever.safetensors"), p.path("retriever.json"), p.path("retriever.onnx"), lrurec.Options{})
		},
	}
}

// externalWeights is the file beside retriever.onnx that holds the weights of a large catalogue, where there is one.
func (p *pipeline) externalWeights() ([]string, error) {
	return external(p.path("retriever.onnx"))
}

// retrieverFiles are the inputs of the stages that run the retriever.
func (p *pipeline) retrieverFiles() ([]string, error) {
	weights, err := p.externalWeights()
	return append([]string{p.path("sequences.parquet"), p.path("retriever.onnx")}, weights...), err
}
