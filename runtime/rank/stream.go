package rank

import (
	"context"
	"iter"
	"sync"
)

// item is a prompt on its way through the model.
type item struct {
	tokens []int32
	shared int // of Prompt
	group  *group
	scores []float32 // [letters], once done is closed
	done   chan struct{}
}

// Stream scores prompts as they come, in their order: prompts are drawn on another goroutine, so that they are built
// while the model works on those before. An error, of a prompt or of ours, is the last that comes. What was begun has
// ended when the loop over the stream has.
func (r *Ranker) Stream(ctx context.Context, prompts iter.Seq2[Prompt, error]) iter.Seq2[[]float32, error] {
	return func(yield func([]float32, error) bool) {
		ctx, cancel := context.WithCancelCause(ctx)
		p := &pipeline{
			Ranker: r, ctx: ctx, fail: cancel,
			work: make(chan []*item), ordered: make(chan *item, r.window()),
		}
		defer p.Wait()
		defer cancel(nil)
		p.start(prompts)
		for i := range p.ordered {
			select {
			case <-i.done:
			case <-ctx.Done():
			}
			if err := context.Cause(ctx); err != nil {
				yield(nil, err)
				return
			}
			if !yield(i.scores, nil) {
				return
			}
		}
		if err := context.Cause(ctx); err != nil {
			yield(nil, err)
		}
	}
}

// window is how many prompts are on their way at most, besides those that are at work.
func (r *Ranker) window() int {
	if r.tokens > 0 {
		return 2 * batchWindow
	}
	return 4 * r.workers
}

// pipeline is one call of Stream.
type pipeline struct {
	*Ranker
	ctx     context.Context
	fail    context.CancelCauseFunc
	work    chan []*item // prompts for one run
	ordered chan *item
	sync.WaitGroup
}

func (p *pipeline) start(prompts iter.Seq2[Prompt, error]) {
	p.Go(func() {
		defer close(p.ordered)
		defer close(p.work)
		if err := p.draw(prompts); err != nil {
			p.fail(err)
		}
	})
	for range p.workers {
		p.Go(func() {
			for items := range p.work {
				if err := p.score(items); err != nil {
					p.fail(err)
					return
				}
			}
		})
	}
}

// score runs the model over the items of one unit.
func (p *pipeline) score(items []*item) error {
	select {
	case p.places <- struct{}{}:
		defer func() { <-p.places }()
	case <-p.ctx.Done():
		return context.Cause(p.ctx)
	}
	s := p.scratch.Get().(*scratch)
	defer p.scratch.Put(s)
	before, err := items[0].group.cache(p.ctx, items[0])
	if err != nil {
		return err
	}
	scores, err := p.infer(s, before, items)
	if err != nil {
		return err
	}
	letters := len(p.letters)
	for i, it := range items {
		it.scores = append([]float32{}, scores[i*letters:(i+1)*letters]...)
		close(it.done)
	}
	return nil
}

// infer runs one prompt in stretches, several in one batch.
func (p *pipeline) infer(s *scratch, before *cache, items []*item) ([]float32, error) {
	if p.tokens == 0 {
		return p.feed(p.ctx, s, before, items[0].tokens[before.length:])
	}
	rows := make([][]int32, len(items))
	for i, it := range items {
		rows[i] = it.tokens
	}
	return p.run(p.ctx, s, before, rows)
}
