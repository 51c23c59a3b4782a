// Package ranker trains a language model to rank the retriever's candidates (LlamaRec, arXiv 2311.02089): for every user and
// position of the training sequences a prompt with the history, the item that came next and wrong ones, of which the model
// learns to name the right one's letter. Tables, a base model and perhaps an adapter come in, an adapter goes out as peft
// writes it. What a step does depends on seed and step only.
package ranker

import (
	"context"
	"errors"

	"mllm4rec/export/llama"
	"mllm4rec/internal/fail"
	"mllm4rec/pipeline/train/loop"
	"mllm4rec/pipeline/train/torch"
	"mllm4rec/pipeline/worker"
)

// Train runs spec to its end and writes the best adapter into the Out folder. A checkpoint there is resumed. When ctx ends, a
// checkpoint is written and ctx's error returned. emit is called from the calling goroutine, which Train locks to its thread.
func Train(ctx context.Context, spec worker.RankerSpec, emit func(worker.Event)) (result worker.RankerResult, err error) {
	if err := spec.Validate(); err != nil {
		return result, err
	}
	base, err := llama.Open(spec.Base)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, base.Close()) }()
	t := &task{spec: spec}
	start, err := t.prepare(ctx, base)
	if err != nil {
		return result, err
	}
	options, err := t.options(base)
	if err != nil {
		return result, err
	}
	engine := torch.NewEngine(spec.Threads)
	defer func() { err = engine.CloseAfter(err) }()
	if err := t.newModel(engine, base, start); err != nil {
		return result, err
	}
	defer t.model.Close()
	ended, err := loop.Run(ctx, options, t, emit)
	if err != nil {
		return result, err
	}
	return t.publish(base, ended)
}

// prepare reads all that a run needs besides the weights of its base, so that what is wrong is found now. It returns the
// adapter to start from, nil for none.
func (t *task) prepare(ctx context.Context, base *llama.Checkpoint) (start *llama.Adapter, err error) {
	if t.prompts, err = openPrompts(t.spec, base); err != nil {
		return nil, err
	}
	if start, err = t.readStart(base); err != nil {
		return nil, err
	}
	data, err := readSequences(ctx, t.spec.Sequences, t.prompts.items())
	if err != nil {
		return nil, err
	}
	seed := uint64(t.spec.Seed)
	if t.negatives, err = readNegatives(ctx, data, t.spec.Negatives, t.spec.NegativesTable, t.prompts.items(), t.spec.Positives, seed); err != nil {
		return nil, err
	}
	if t.checks, err = readChecks(ctx, t.spec, data, t.prompts); err != nil {
		return nil, err
	}
	t.order = loop.NewOrder(t.negatives.samples(), t.spec.Batch, seed)
	t.schedule = loop.Schedule{Kind: t.spec.Schedule, Peak: t.spec.LearningRate, Warmup: t.spec.Warmup, MaxSteps: t.spec.MaxSteps}
	return start, nil
}

// readStart reads the adapter to start from, if there is one, and takes its form over into the spec.
func (t *task) readStart(base *llama.Checkpoint) (*llama.Adapter, error) {
	if t.spec.Init == "" {
		return nil, nil
	}
	start, err := llama.ReadAdapter(t.spec.Init)
	if err != nil {
		return nil, err
	}
	if err := start.Fits(base); err != nil {
		return nil, fail.Usagef("%s: %w; name another in ranker.init_adapter, or none", t.spec.Init, err)
	}
	if made := start.Metadata[tokenizerKey]; made != "" && made != t.prompts.tok.Fingerprint() {
		return nil, fail.Usagef("%s: the adapter was trained with another tokenizer", t.spec.Init)
	}
	t.spec.Rank, t.spec.Alpha, t.spec.Targets = start.Rank, start.Scale()*float64(start.Rank), start.Targets()
	return start, nil
}
