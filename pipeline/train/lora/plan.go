package lora

import (
	"mllm4rec/export/llama"
	"mllm4rec/internal/doctor"
	"mllm4rec/internal/fail"
)

// Plan is the memory that training takes, in bytes. The program and libtorch themselves come on top (docs/memory.md).
type Plan struct {
	Base        int64 // the frozen weights
	Adapters    int64 // their values, gradients, and the optimiser's two moments
	Activations int64 // what the backward pass needs of the forward pass, for a micro-batch
	Scratch     int64 // what layers share: gradients on their way, one weight unpacked, attention's blocks
}

// Total is the sum.
func (p Plan) Total() int64 { return p.Base + p.Adapters + p.Activations + p.Scratch }

// NewPlan computes the memory of a model before it is made, for an engine of so many threads. It fails where NewModel would.
func NewPlan(config llama.Config, settings Settings, threads int) (Plan, error) {
	m, err := design(nil, config, settings)
	if err != nil {
		return Plan{}, err
	}
	return m.plan(threads), nil
}

// plan is the memory of a model.
func (m *Model) plan(threads int) Plan {
	return Plan{
		Base: m.memory.base.bytes, Adapters: 2 * m.memory.adapters.bytes,
		Activations: m.memory.activations.bytes, Scratch: m.memory.scratch.bytes + m.attentionBytes(threads),
	}
}

// attentionBytes is what attention's backward pass takes while it runs (attention.c): each thread's keys, values and scores,
// and the gradients of keys and values by span. It is exact for prompts that share no beginning; a shared one counts once more
// for each of them.
func (m *Model) attentionBytes(threads int) int64 {
	up := func(n, to int) int64 { return int64((n + to - 1) / to * to) }
	longest, rows, wide := up(min(m.settings.Positions, m.settings.Rows), 64), up(m.settings.Rows, 64), up(m.config.HeadDim, 16)
	thread := 4*longest*wide + 3*32*wide + 2*32*longest
	return 4 * (thread*int64(threads) + 2*int64(m.config.KVHeads)*rows*wide)
}

// refuse is an error where a plan needs more than is left. Linux hands out memory that it does not have and kills processes
// later, so that no allocation would tell.
func (p Plan) refuse(left int64) error {
	if p.Total() <= left {
		return nil
	}
	gb := func(bytes int64) float64 { return float64(bytes) / 1e9 }
	return fail.Usagef("the model does not fit into memory: it takes %.1f GB (base %.1f, activations %.1f, the rest %.1f), %.1f GB are left; "+
		"fewer batch_tokens, less activation_bytes or another precision need less",
		gb(p.Total()), gb(p.Base), gb(p.Activations), gb(p.Adapters+p.Scratch), gb(left))
}

// refuseHere does that for this machine, if it tells what is left.
func (p Plan) refuseHere() error {
	left, _, err := doctor.LeftMemory()
	if err != nil {
		return nil
	}
	return p.refuse(left)
}
