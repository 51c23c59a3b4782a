package rank

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"sync"
)

// minShared is how many tokens prompts must share behind the prefix for their keys and values to be computed apart.
const minShared = 64

// group is prompts that share their first tokens.
type group struct {
	*Ranker
	trunk  []int32 // what they share; nil: no more than the prefix
	prefix bool    // they begin with the prefix of all

	mutex sync.Mutex
	kept  *cache // of the trunk, once it is computed
}

// cache is the keys and values of what the group shares, of which i is one. The first caller computes them, others wait.
func (g *group) cache(ctx context.Context, i *item) (*cache, error) {
	before, err := g.nothing(), error(nil)
	if g.prefix {
		before, err = g.beginning(ctx)
	}
	if err != nil {
		return nil, err
	}
	if g.trunk == nil {
		return g.remembered(ctx, before, i.tokens, i.shared)
	}
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if g.kept == nil {
		if before, err = g.remembered(ctx, before, i.tokens, min(i.shared, len(g.trunk))); err != nil {
			return nil, err
		}
		if len(g.trunk)-before.length < minShared { // a run of its own for the few that are left costs more than it saves
			g.kept = before
			return before, nil
		}
		if g.kept, err = g.compute(ctx, before, g.trunk[before.length:]); err != nil {
			return nil, err
		}
	}
	return g.kept, nil
}

// draw takes all prompts and hands them to the workers.
func (p *pipeline) draw(prompts iter.Seq2[Prompt, error]) error {
	next, end := p.alone()
	if p.tokens > 0 {
		next, end = p.batches()
	}
	count := 0
	for prompt, err := range prompts {
		if err == nil {
			err = p.check(prompt, count)
		}
		if err == nil {
			err = next(&item{tokens: prompt.Tokens, shared: prompt.Shared, done: make(chan struct{})})
		}
		if err != nil {
			return err
		}
		count++
	}
	return end()
}

// alone hands out prompts one by one, grouped with neighbours that they share tokens with. One is held back until it is
// known what it shares with the next.
func (p *pipeline) alone() (next func(*item) error, end func() error) {
	var held *item
	var open *group
	end = func() error {
		if held == nil {
			return nil
		}
		single := held
		held = nil
		single.group = &group{Ranker: p.Ranker, prefix: p.begins(single.tokens)}
		return p.send(single)
	}
	next = func(i *item) error {
		if open != nil && shared(open.trunk, i.tokens) == len(open.trunk) && len(i.tokens) > len(open.trunk) {
			i.group = open
			return p.send(i)
		}
		open = nil
		if held == nil {
			held = i
			return nil
		}
		common := min(shared(held.tokens, i.tokens), len(held.tokens)-1, len(i.tokens)-1)
		if common < len(p.prefix)+minShared {
			err := end()
			held = i
			return err
		}
		open = &group{Ranker: p.Ranker, prefix: p.begins(i.tokens), trunk: i.tokens[:common]}
		first := held
		held, first.group, i.group = nil, open, open
		if err := p.send(first); err != nil {
			return err
		}
		return p.send(i)
	}
	return next, end
}

// shared is how many first tokens are the same.
func shared(a, b []int32) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// begins says whether tokens are the prefix and more.
func (r *Ranker) begins(tokens []int32) bool {
	return len(r.prefix) > 0 && len(tokens) > len(r.prefix) && shared(r.prefix, tokens) == len(r.prefix)
}

// send hands a prompt on as a run of its own.
func (p *pipeline) send(i *item) error {
	if err := p.order(i); err != nil {
		return err
	}
	return p.hand([]*item{i})
}

// order puts a prompt into the row of those whose scores go out.
func (p *pipeline) order(i *item) error {
	select {
	case p.ordered <- i:
		return nil
	case <-p.ctx.Done():
		return context.Cause(p.ctx)
	}
}

// hand gives prompts for one run to a worker.
func (p *pipeline) hand(items []*item) error {
	select {
	case p.work <- items:
		return nil
	case <-p.ctx.Done():
		return context.Cause(p.ctx)
	}
}

// batchWindow is how many prompts are sorted by length together.
const batchWindow = 256

// batches hands out prompts of like length together, as many as a device takes. ONNX Runtime's attention knows no past
// for several rows, so that prefix and history are computed with each.
func (p *pipeline) batches() (next func(*item) error, end func() error) {
	var held []*item
	alone := &group{Ranker: p.Ranker}
	end = func() error {
		slices.SortStableFunc(held, func(a, b *item) int { return cmp.Compare(len(b.tokens), len(a.tokens)) })
		for len(held) > 0 {
			n := min(len(held), max(1, p.tokens/len(held[0].tokens)))
			if err := p.hand(held[:n:n]); err != nil {
				return err
			}
			held = held[n:]
		}
		return nil
	}
	next = func(i *item) error {
		i.group = alone
		held = append(held, i)
		if err := p.order(i); err != nil || len(held) < batchWindow {
			return err
		}
		return end()
	}
	return next, end
}
