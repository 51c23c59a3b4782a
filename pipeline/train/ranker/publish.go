package ranker

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"

	"mllm4rec/export/llama"
	"mllm4rec/export/weights"
	"mllm4rec/pipeline/train/loop"
	"mllm4rec/pipeline/worker"
)

// What the adapter's file tells of its prompts, by fingerprint: they are what inference has to make.
const (
	templateKey  = "mllm4rec.template"
	tokenizerKey = "mllm4rec.tokenizer"
)

// publish writes the best adapter of the run.
func (t *task) publish(base *llama.Checkpoint, ended loop.Result) (worker.RankerResult, error) {
	result := worker.RankerResult{
		Adapter: filepath.Join(t.spec.Out, "adapter"), Steps: ended.Step, BestStep: ended.BestStep, Best: ended.Best,
		Samples: t.order.Seen(ended.Step), SamplesInAll: t.negatives.samples(), ValidationUsers: len(t.checks),
		Truncated: map[string]int{"titles": t.prompts.cut.Titles, "captions": t.prompts.cut.Captions, "history": t.prompts.cut.History},
		Reason:    ended.Reason, Seconds: ended.Seconds, PeakBytes: loop.PeakBytes(),
	}
	file, err := weights.Open(ended.Path)
	if err != nil {
		return result, err
	}
	defer func() { _ = file.Close() }()
	tensors, _ := t.Best()
	if err := loop.Fill(tensors, file); err != nil {
		return result, err
	}
	adapter := t.model.Adapter()
	adapter.Dropout, adapter.Base = t.spec.Dropout, base.Fingerprint()
	if adapter.Metadata, err = t.metadata(result); err != nil {
		return result, err
	}
	return result, adapter.Write(result.Adapter, base.Path(), weights.F32)
}

// metadata is what an adapter's file tells of how it was made.
func (t *task) metadata(result worker.RankerResult) (map[string]string, error) {
	best, err := json.Marshal(result.Best)
	if err != nil {
		return nil, fmt.Errorf("validation metrics: %w", err)
	}
	return map[string]string{
		templateKey: t.prompts.template.Fingerprint(), tokenizerKey: t.prompts.tok.Fingerprint(),
		"mllm4rec.template_name": t.prompts.template.Name(), "mllm4rec.loss": t.spec.Loss, "mllm4rec.negatives": t.spec.Negatives,
		"mllm4rec.seed": strconv.FormatInt(t.spec.Seed, 10), "mllm4rec.step": strconv.Itoa(result.BestStep), "mllm4rec.validation": string(best),
	}, nil
}
