package lora

import "context"

// Sample is one prompt and what it teaches: after its last len(Answers) tokens come the tokens Answers (indices into
// Settings.Head), each out of the first Choices of the head (0: all).
type Sample struct {
	Tokens  []int32
	Answers []int32
	Choices int
	// Also are further right answers after the last token: each of them and the last of Answers has the same share.
	Also []int32
}

// Dropout is LoRA's: the same key drops the same elements.
type Dropout struct {
	Rate float64
	Key  uint64
}

// Learn takes a micro-batch forward and backward. It adds the gradients of scale × Σ cross-entropy over all answers to what
// the adapters have, and returns Σ cross-entropy. All samples have as many answers. It ends with ctx's error a layer after ctx,
// as a micro-batch of a large model takes minutes.
func (m *Model) Learn(ctx context.Context, samples []Sample, scale float64, drop Dropout) (loss float64, err error) {
	tail := len(samples[0].Answers)
	p := &pass{batch: pack(tokens(samples), tail), rate: drop.Rate, key: drop.Key}
	if err := m.forward(ctx, p); err != nil {
		return 0, err
	}
	labels, counts := make([]int32, len(p.batch.places)), make([]int32, len(p.batch.places))
	for i, place := range p.batch.places {
		s := samples[int(place)/tail]
		labels[i], counts[i] = s.Answers[int(place)%tail], int32(s.Choices)
		if s.Choices == 0 {
			counts[i] = int32(m.logits.Cols)
		}
	}
	for i, place := range p.batch.places {
		if int(place)%tail == tail-1 {
			loss += shareTarget(m.answer(i), labels[i], samples[int(place)/tail].Also)
		}
	}
	loss += letterLoss(m.logits, labels, counts, scale)
	for i, place := range p.batch.places {
		if int(place)%tail == tail-1 {
			shareGradient(m.answer(i), labels[i], samples[int(place)/tail].Also, scale)
		}
	}
	return loss, m.backward(ctx, p)
}

// answer is row i of the logits, or of their gradient.
func (m *Model) answer(i int) []float32 { return m.logits.Data[i*m.logits.Cols : (i+1)*m.logits.Cols] }

// shareTarget is by how much the cross-entropy grows when the target is shared by label and also.
func shareTarget(logits []float32, label int32, also []int32) (more float64) {
	for _, other := range also {
		more += float64(logits[label] - logits[other])
	}
	return more / float64(1+len(also))
}

// shareGradient moves the target's gradient in the same way.
func shareGradient(grad []float32, label int32, also []int32, scale float64) {
	share := float32(scale / float64(1+len(also)))
	for _, other := range also {
		grad[other] -= share
		grad[label] += share
	}
}

// Score computes what follows prompts: for each the logits [tokens of the head], good until the next call. It ends with ctx as
// Learn does.
func (m *Model) Score(ctx context.Context, prompts [][]int32) ([][]float32, error) {
	p := &pass{batch: pack(prompts, 1)}
	if err := m.forward(ctx, p); err != nil {
		return nil, err
	}
	logits, n := make([][]float32, len(prompts)), m.logits.Cols
	for i, prompt := range p.batch.places {
		logits[prompt] = m.logits.Data[i*n : (i+1)*n]
	}
	return logits, nil
}

func tokens(samples []Sample) [][]int32 {
	all := make([][]int32, len(samples))
	for i, s := range samples {
		all[i] = s.Tokens
	}
	return all
}

// Fit is how many of the prompts, from the first on, fit into one micro-batch when tail results of each are read. What all
// of them begin with counts once. It is at least 1.
func (m *Model) Fit(prompts [][]int32, tail int) int {
	rows, shared := 0, 0
	for i, prompt := range prompts {
		if i == 0 {
			shared = len(prompt)
		}
		if shared = min(shared, common(prompts[0], prompt)); shared < leastShared {
			shared = 0
		}
		rows += len(prompt)
		if i > 0 && (rows-i*shared > m.settings.Rows || (i+1)*tail > m.settings.Answers) {
			return i
		}
	}
	return len(prompts)
}
