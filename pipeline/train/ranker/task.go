package ranker

import (
	"context"
	"slices"

	"mllm4rec/export/llama"
	"mllm4rec/export/weights"
	"mllm4rec/pipeline/train/loop"
	"mllm4rec/pipeline/train/lora"
	"mllm4rec/pipeline/train/torch"
	"mllm4rec/pipeline/worker"
)

// mostPrompts bounds a micro-batch, and so the memory for its logits.
const mostPrompts = 32

// task is a ranker in training.
type task struct {
	spec      worker.RankerSpec
	prompts   *prompts
	negatives *negatives
	order     *loop.Order
	checks    []check
	schedule  loop.Schedule
	model     *lora.Model
	optimiser *lora.Optimiser
}

// newModel loads the base and its adapters.
func (t *task) newModel(engine *torch.Engine, base *llama.Checkpoint, start *llama.Adapter) (err error) {
	device, err := t.device()
	if err != nil {
		return err
	}
	longest := min(t.spec.PromptTokens, base.Config().MaxPositions) + t.prompts.answers()
	t.model, err = lora.NewModel(engine, base, base.Config(), lora.Settings{
		Rows: max(t.spec.MicroTokens, longest), Answers: mostPrompts * t.prompts.answers(), Positions: longest,
		Targets: t.spec.Targets, Rank: t.spec.Rank, Alpha: t.spec.Alpha, Head: t.prompts.head(),
		Precision: t.spec.Precision, ActivationBytes: t.spec.ActivationBytes, Device: device,
	})
	if err != nil {
		return err
	}
	t.optimiser = lora.NewOptimiser(t.model)
	t.model.Initialise(uint64(t.spec.Seed))
	if start == nil {
		return nil
	}
	return t.model.Take(start)
}

// device is the GPU that the spec asks for, nil for none.
func (t *task) device() (*torch.Device, error) {
	if t.spec.Device == "cpu" {
		return nil, nil
	}
	device, err := torch.CUDA(t.spec.GPU)
	device.Half = t.spec.Precision != "fp32"
	return &device, err
}

// Step makes an update from a batch of samples, a micro-batch after the other.
func (t *task) Step(ctx context.Context, step int) (loss, norm float64, err error) {
	samples, err := t.batch(step)
	if err != nil {
		return 0, 0, err
	}
	t.optimiser.Begin()
	all := float64(len(samples) * t.prompts.answers())
	key := torch.Mix(uint64(t.spec.Seed), uint64(step), 1)
	for part := uint64(0); len(samples) > 0; part++ {
		if err := ctx.Err(); err != nil {
			return 0, 0, err
		}
		n := t.fit(samples)
		sum, err := t.model.Learn(ctx, samples[:n], 1/all, lora.Dropout{Rate: t.spec.Dropout, Key: torch.Mix(key, part)})
		if err != nil {
			return 0, 0, err
		}
		loss += sum / all
		samples = samples[n:]
	}
	norm = t.optimiser.Step(torch.AdamW{
		Step: step + 1, LearningRate: t.Rate(step + 1), Epsilon: 1e-8, Decay: t.spec.WeightDecay,
	}, t.spec.ClipNorm)
	return loss, norm, nil
}

// batch makes the samples of a step.
func (t *task) batch(step int) ([]lora.Sample, error) {
	indices, epoch := t.order.Batch(step)
	samples := make([]lora.Sample, len(indices))
	for i, index := range indices {
		sample := t.negatives.sample(int(index))
		user, position := t.negatives.data.sample(sample)
		candidates, labels := t.negatives.draw(sample, epoch, step*t.spec.Batch+i, t.spec.Candidates)
		train := t.negatives.data.train[user]
		if t.rehearses(step, i) { // the history then ends with the last right answer
			position += slices.Index(train[position:], candidates[labels[len(labels)-1]]) + 1
		}
		var err error
		if samples[i], err = t.prompts.sample(train[:position], candidates, labels); err != nil {
			return nil, err
		}
	}
	return samples, nil
}

// rehearses tells whether a prompt of a step shows its answers: all do at first, none after spec.Rehearsal steps. A sudden end
// would have the model forget what it has just learned, as the sharp answers it gives by then are wrong at once.
func (t *task) rehearses(step, prompt int) bool {
	return (step*t.spec.Batch)+prompt*t.spec.Rehearsal < t.spec.Rehearsal*t.spec.Batch
}

// fit is how many of the samples fit into one micro-batch.
func (t *task) fit(samples []lora.Sample) int {
	tokens := make([][]int32, len(samples))
	for i, s := range samples {
		tokens[i] = s.Tokens
	}
	return t.model.Fit(tokens, t.prompts.answers())
}

// Rate implements loop.Task.
func (t *task) Rate(step int) float64 { return t.schedule.Rate(step) }

// Tensors implements loop.Task.
func (t *task) Tensors() []weights.Tensor { return views(t.optimiser.Memory()) }

// Best implements loop.Task: the adapters alone.
func (t *task) Best() ([]weights.Tensor, map[string]string) {
	const name = "adapters"
	return views(map[string][]float32{name: t.optimiser.Memory()[name]}), nil
}

func views(memory map[string][]float32) []weights.Tensor {
	var tensors []weights.Tensor
	for name, values := range memory {
		tensors = append(tensors, loop.View(name, values, int64(len(values))))
	}
	return tensors
}
