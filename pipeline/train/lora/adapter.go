package lora

import (
	"math/rand/v2"
	"slices"

	"mllm4rec/export/llama"
	"mllm4rec/internal/fail"
)

// Initialise draws adapters by a seed as peft does: the model is the base at first.
func (m *Model) Initialise(seed uint64) {
	random := rand.New(rand.NewPCG(seed, 1))
	for _, s := range m.sites {
		s.initialise(random)
	}
}

// Take copies an adapter's matrices; modules that it does not have keep what they have.
func (m *Model) Take(a *llama.Adapter) error {
	left := len(a.Pairs)
	for _, s := range m.sites {
		pair, ok := a.Pairs[s.name]
		if !ok {
			continue
		}
		if pair.Rank != s.rank || pair.In != s.in || pair.Out != s.out {
			return fail.Usagef("the adapter at %s is of rank %d, [%d, %d]; the model has rank %d, [%d, %d]",
				s.name, pair.Rank, pair.Out, pair.In, s.rank, s.out, s.in)
		}
		copy(s.a, pair.A)
		copy(s.b, transposed(pair.B, pair.Out, pair.Rank))
		left--
	}
	if left > 0 {
		return fail.Usagef("the adapter changes %q; the model learns at %q", a.Targets(), m.settings.Targets)
	}
	return nil
}

// Adapter copies the adapters out.
func (m *Model) Adapter() *llama.Adapter {
	a := &llama.Adapter{Rank: m.settings.Rank, Alpha: m.settings.Alpha, Pairs: map[string]llama.Pair{}, Metadata: map[string]string{}}
	for _, s := range m.sites {
		a.Pairs[s.name] = llama.Pair{Rank: s.rank, In: s.in, Out: s.out, A: slices.Clone(s.a), B: transposed(s.b, s.rank, s.out)}
	}
	return a
}
