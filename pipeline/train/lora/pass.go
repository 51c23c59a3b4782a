package lora

import (
	"context"
	"fmt"

	"mllm4rec/pipeline/train/torch"
)

// pass is one micro-batch on its way through the model.
type pass struct {
	batch       *packed
	rate        float64 // of dropout
	key         uint64
	rankScratch []float32
}

// dropout is that of one site: it depends on the pass's key, so that the backward pass drops the same elements.
func (p *pass) dropout(s *site) torch.Dropout {
	return torch.NewDropout(p.rate, torch.Mix(p.key, s.index))
}

// walk is what a layer's attention goes through.
func (p *pass) walk(l *layer) walk {
	if l.last {
		return p.batch.last
	}
	return p.batch.all
}

// forward computes the logits [answers, head] of a micro-batch; they are the model's until the next call.
func (m *Model) forward(ctx context.Context, p *pass) error {
	b := p.batch
	if len(b.tokens) > m.settings.Rows || len(b.answers) > m.settings.Answers {
		return fmt.Errorf("a micro-batch of %d tokens and %d answers; the model was made for %d and %d", len(b.tokens), len(b.answers), m.settings.Rows, m.settings.Answers)
	}
	m.setRows(len(b.tokens), len(b.answers))
	if err := m.Err(); err != nil {
		return err
	}
	if m.device != nil {
		return m.device.forward(ctx, p)
	}
	if err := m.embed(b.tokens, m.inputs[0].Data); err != nil {
		return err
	}
	p.rankScratch = m.rankScratch
	for i, l := range m.layers {
		if err := ctx.Err(); err != nil {
			return err
		}
		out := m.output
		if i+1 < len(m.layers) {
			out = m.inputs[i+1]
		}
		l.forward(p, m.inputs[i], m.activations[i], out)
	}
	if err := m.Err(); err != nil {
		return err
	}
	rmsNorm(m.output, m.finalNorm, m.config.NormEpsilon, m.finalRstd, m.final)
	m.engine.Product(m.logits, m.final.N(), m.head.matrix().T())
	return m.Err()
}

// embed looks up the first layer's input, [tokens, hidden].
func (m *Model) embed(tokens []int32, out []float32) error {
	place, rows := map[int32]int{}, []int{}
	for _, token := range tokens {
		if _, ok := place[token]; !ok {
			place[token] = len(rows)
			rows = append(rows, int(token))
		}
	}
	values, err := m.source.Rows("model.embed_tokens.weight", rows)
	if err != nil {
		return err
	}
	d := m.config.Hidden
	for i, token := range tokens {
		copy(out[i*d:(i+1)*d], values[place[token]*d:])
	}
	return nil
}

// backward adds the adapters' gradients to what is there, from the logits' gradient, which lies in place of the logits.
func (m *Model) backward(ctx context.Context, p *pass) error {
	if m.device != nil {
		return m.device.backward(ctx, p)
	}
	m.engine.Product(m.few.gradNormed, m.logits.N(), m.head.matrix().N())
	if err := m.Err(); err != nil {
		return err
	}
	m.few.grad.Zero()
	rmsNormBackward(m.few.gradNormed, m.output, m.finalNorm, m.finalRstd, m.few.grad)
	for i := len(m.layers) - 1; i >= 0 && m.Err() == nil; i-- {
		if err := ctx.Err(); err != nil {
			return err
		}
		m.layers[i].backward(p, m.inputs[i], m.recalled(p, i))
	}
	return m.Err()
}
