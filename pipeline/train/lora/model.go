// Package lora fine-tunes a Llama-family model to rank candidates (LlamaRec, arXiv 2311.02089): low-rank adapters (LoRA,
// arXiv 2106.09685) at its linear layers learn, the base stays as it is, in fp32 or compressed (QLoRA, arXiv 2305.14314).
// Prompts come in as token ids, the best adapter goes out as peft writes it.
//
// A micro-batch is packed: the tokens of its prompts lie row after row without padding, and what prompts begin with in common
// (the instruction) is there once. The backward pass is written here, next to the forward pass that it undoes; it computes
// gradients of activations and adapters only. Big matrix products are libtorch's, the rest are fused kernels. In the last
// layer only keys and values are computed of every token, and of the head only the rows that the loss reads.
package lora

import (
	"errors"
	"fmt"

	"mllm4rec/export/llama"
	"mllm4rec/pipeline/train/torch"
)

// Settings are what a model is built for.
type Settings struct {
	// Rows and Answers bound a micro-batch: its packed tokens, and how many of their results are read.
	Rows, Answers int
	// Targets are the linear layers with adapters (out of Targets), Rank and Alpha their shape and strength.
	Targets []string
	Rank    int
	Alpha   float64
	// Head lists the tokens whose logits are computed; nil means the whole vocabulary.
	Head []int32
	// Positions is the longest prompt.
	Positions int
	// Precision is how the base is held, one of Precisions; "" is fp32.
	Precision string
	// ActivationBytes bounds what the layers' activations take (Plan.Activations): layers that do not fit are computed again
	// in the backward pass, with the same bits. 0 is no bound.
	ActivationBytes int64
	// Device computes on a GPU, as the type onDevice does; nil is the CPU with the kernels of this package. ActivationBytes counts
	// for nothing there.
	Device *torch.Device
}

// Model is a base with adapters, and the activations of one micro-batch. It belongs to its engine's goroutine.
type Model struct {
	config        llama.Config
	settings      Settings
	engine        *torch.Engine
	source        Source
	err           error
	memory        memory
	tensors       []tensor // of the base, until they are loaded
	weights       []*weight
	heads         heads
	qWidth        int // heads · dim
	kvWidth       int
	rotary        *rotary
	layers        []*layer
	finalNorm     []float32
	finalRstd     []float32
	head          *weight // [tokens of the head, hidden]
	sites         []*site
	device        *onDevice       // nil: the host computes
	values, grads *torch.Matrix   // [1, adapters' parameters]
	inputs        []*torch.Matrix // of each layer, [rows, hidden]
	output        *torch.Matrix   // of the last layer, [answers, hidden]
	final         *torch.Matrix   // normalised
	logits        *torch.Matrix   // [answers, head], then their gradient
	activations   []*activations
	sharing       int      // so many of the first layers share their activations
	every, few    *scratch // for all rows, for the answers
	gradQKV       *torch.Matrix
	gradQ, gradKV *torch.Matrix // of the last layer
	rankScratch   []float32
}

// NewModel loads a base and makes adapters, all zero.
func NewModel(engine *torch.Engine, source Source, config llama.Config, settings Settings) (*Model, error) {
	plan, err := NewPlan(config, settings, engine.Threads())
	if err == nil {
		err = plan.refuseHere() // of a device this is what the host has: adapters
	}
	if err != nil {
		return nil, err
	}
	m, err := design(engine, config, settings)
	if err != nil {
		return nil, err
	}
	m.source = source
	if err := engine.Err(); err != nil {
		m.Close()
		return nil, fmt.Errorf("the model does not fit into memory (fewer batch_tokens, less activation_bytes or another precision need less): %w", err)
	}
	if err := m.loadBase(); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// loadBase reads the base, to where the model computes.
func (m *Model) loadBase() (err error) {
	if m.settings.Device == nil {
		return m.load()
	}
	m.device, err = m.newOnDevice(*m.settings.Device)
	return err
}

// design makes a model that knows no weights yet; without an engine it takes no memory, but counts it.
func design(engine *torch.Engine, config llama.Config, settings Settings) (*Model, error) {
	m := &Model{
		config: config, settings: settings, engine: engine, memory: newMemory(engine),
		heads:  heads{config.Heads, config.KVHeads, config.HeadDim, config.SlidingWindow},
		qWidth: config.Heads * config.HeadDim, kvWidth: config.KVHeads * config.HeadDim,
		rotary: newRotary(config.InverseFrequencies(), settings.Positions),
	}
	targets, err := targetIndices(settings.Targets)
	if err != nil {
		return nil, err
	}
	if m.settings.Precision, err = knownPrecision(settings.Precision); err != nil {
		return nil, err
	}
	for i := range config.Layers {
		l := &layer{}
		if settings.Device == nil {
			l = m.newLayer(i)
		}
		m.layers = append(m.layers, l)
		for _, target := range targets {
			l.sites[target] = m.newSite(i, target)
			m.sites = append(m.sites, l.sites[target])
		}
	}
	m.place()
	if settings.Device != nil {
		m.logits = m.memory.scratch.matrix(settings.Answers, m.headSize())
		return m, nil
	}
	m.finalNorm, m.head = m.vector("model.norm.weight", config.Hidden), m.newHead()
	m.placeWeights()
	if err := m.allocate(); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// headSize is how many tokens have logits.
func (m *Model) headSize() int {
	if m.settings.Head == nil {
		return m.config.VocabSize
	}
	return len(m.settings.Head)
}

func (m *Model) newSite(layer, target int) *site {
	out, in := m.shape(target)
	return &site{
		name: siteName(layer, target), index: uint64(layer*len(Targets) + target), in: in, out: out,
		rank: m.settings.Rank, scale: float32(m.settings.Alpha / float64(m.settings.Rank)),
	}
}

// place gives the adapters their memory, each matrix at a multiple of 16 floats.
func (m *Model) place() {
	padded := func(n int) int { return (n + 15) / 16 * 16 }
	total := 0
	for _, s := range m.sites {
		total += padded(s.rank*s.in) + padded(s.rank*s.out)
	}
	m.values, m.grads = m.memory.adapters.matrix(1, total), m.memory.adapters.matrix(1, total)
	if m.values.Data == nil || m.grads.Data == nil {
		return
	}
	at := 0
	for _, s := range m.sites {
		n := s.rank * s.in
		s.a, s.gradA = m.values.Data[at:at+n], m.grads.Data[at:at+n]
		at += padded(n)
		n = s.rank * s.out
		s.b, s.gradB = m.values.Data[at:at+n], m.grads.Data[at:at+n]
		at += padded(n)
	}
}

// note keeps the first error of a kernel.
func (m *Model) note(err error) {
	if m.err == nil {
		m.err = err
	}
}

// Err is the first error of the model or its engine.
func (m *Model) Err() error { return errors.Join(m.engine.Err(), m.err) }

func outOfMemory(failed int) error {
	if failed == 0 {
		return nil
	}
	return errors.New("attention: memory ran out; a smaller micro-batch needs less")
}

// Close frees everything.
func (m *Model) Close() {
	m.device.close()
	m.memory.free()
}
