package rank

import (
	"slices"
	"testing"
)

// count makes tokens from, from+1, … of so many.
func count(from int32, n int) []int32 {
	all := make([]int32, n)
	for i := range all {
		all[i] = from + int32(i)
	}
	return all
}

// planned hands prompts out as Stream does, without a model, and returns the units of work.
func planned(t *testing.T, r *Ranker, prompts ...[]int32) (units [][]*item) {
	t.Helper()
	p := &pipeline{Ranker: r, ctx: t.Context(), work: make(chan []*item, len(prompts)), ordered: make(chan *item, len(prompts))}
	err := p.draw(func(yield func(Prompt, error) bool) {
		for _, tokens := range prompts {
			if !yield(Prompt{Tokens: tokens}, nil) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	close(p.work)
	close(p.ordered)
	for i := range p.ordered {
		if !slices.Equal(i.tokens, prompts[0]) {
			t.Error("prompts left their order")
		}
		prompts = prompts[1:]
	}
	for unit := range p.work {
		units = append(units, unit)
	}
	return units
}

func TestNeighboursShareWhatTheyHaveInCommon(t *testing.T) {
	t.Parallel()
	r := &Ranker{prefix: count(0, 10), sizes: sizes{maxLength: 1000, vocabulary: 1000}}
	history, other := count(0, 10+minShared+5), slices.Concat(count(0, 10), count(500, minShared))
	units := planned(t, r,
		slices.Concat(history, count(100, 20)), slices.Concat(history, count(200, 30)), slices.Concat(history, count(300, 20)),
		history, // nothing left behind the shared part
		slices.Concat(other, count(100, 20)), slices.Concat(other, count(200, 20)),
		count(7, 100), // begins with other tokens
		count(0, 12),
	)
	trunks := []int{len(history), len(history), len(history), 0, len(other), len(other), 0, 0}
	prefixes := []bool{true, true, true, true, true, true, false, true}
	if len(units) != len(trunks) {
		t.Fatalf("%d units of work, want %d", len(units), len(trunks))
	}
	for i, unit := range units {
		if g := unit[0].group; len(unit) != 1 || len(g.trunk) != trunks[i] || g.prefix != prefixes[i] {
			t.Errorf("prompt %d shares %d tokens (prefix %v), want %d (%v)", i, len(g.trunk), g.prefix, trunks[i], prefixes[i])
		}
	}
	if units[0][0].group != units[2][0].group || units[2][0].group == units[4][0].group {
		t.Error("groups are mixed up")
	}
}

func TestBatchesHoldLikeLengthsWithinTheirTokens(t *testing.T) {
	t.Parallel()
	r := &Ranker{tokens: 100, sizes: sizes{maxLength: 1000, vocabulary: 1000}}
	var prompts [][]int32
	for i := range 2*batchWindow + 9 {
		prompts = append(prompts, count(0, 1+i*7%60))
	}
	prompts = append(prompts, count(0, 500))
	total := 0
	for _, unit := range planned(t, r, prompts...) {
		total += len(unit)
		if longest := len(unit[0].tokens); len(unit) > 1 && longest*len(unit) > r.tokens {
			t.Errorf("%d prompts of up to %d tokens in a batch of %d", len(unit), longest, r.tokens)
		}
		for i := range unit[1:] {
			if len(unit[i+1].tokens) > len(unit[i].tokens) {
				t.Error("a longer prompt came after a shorter one")
			}
		}
	}
	if total != len(prompts) {
		t.Errorf("%d prompts came out of %d", total, len(prompts))
	}
}
