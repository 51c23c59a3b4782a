package rank

import (
	"context"
	"fmt"

	"mllm4rec/runtime/ort"
)

// cache is the keys and values of the first tokens of prompts.
type cache struct {
	length int
	tensor [][]float32 // key and value of each layer, [kv heads, length, head size]
}

// scratch is what one run needs, used again by the next.
type scratch struct {
	tokens  []int32     // [prompts, length]
	lengths []int64     // [prompts]
	scores  []float32   // [prompts, letters]
	present [][]float32 // as cache.tensor, of all rows and positions
	other   [][]float32 // takes turns with present where a prompt is fed in stretches
}

func (r *Ranker) newScratch() *scratch {
	return &scratch{present: make([][]float32, 2*r.layers), other: make([][]float32, 2*r.layers)}
}

// stretch is about how many tokens of a prompt are fed at once. Attention computes each token's with all that are known in
// its stretch, later ones too, and hides those: shorter stretches waste less on that, and read the weights more often.
const stretch = 256

// feed runs tokens, a stretch at a time, behind a past.
func (r *Ranker) feed(ctx context.Context, s *scratch, before *cache, tokens []int32) ([]float32, error) {
	for {
		n := len(tokens) / max(1, (len(tokens)+stretch/2)/stretch)
		scores, err := r.run(ctx, s, before, [][]int32{tokens[:n]})
		if err != nil || n == len(tokens) {
			return scores, err
		}
		before = &cache{before.length + n, s.present}
		s.present, s.other = s.other, s.present
		tokens = tokens[n:]
	}
}

// run feeds rows of tokens, padded on the right to the longest, behind a past that they share (more than one row: none).
// It returns the scores, [rows, letters], which are s's until the next run, and leaves keys and values in s.present, where
// runs give them.
func (r *Ranker) run(ctx context.Context, s *scratch, before *cache, rows [][]int32) ([]float32, error) {
	length := s.fill(rows)
	count, total := len(rows), before.length+length
	s.scores = grow(s.scores, count*len(r.letters))
	var lent ort.Lent
	defer lent.Close()
	in := []ort.Value{ort.Lend(&lent, s.tokens, count, length), ort.Lend(&lent, s.lengths, count)}
	out := []ort.Value{ort.Lend(&lent, s.scores, count, len(r.letters))}
	for i := range s.present {
		in = append(in, ort.Lend(&lent, before.tensor[i], count, r.kvHeads, before.length, r.headSize))
		if r.tokens == 0 {
			s.present[i] = grow(s.present[i], count*r.kvHeads*total*r.headSize)
			out = append(out, ort.Lend(&lent, s.present[i], count, r.kvHeads, total, r.headSize))
		}
	}
	if err := lent.Err(); err != nil {
		return nil, err
	}
	if err := r.session.Run(ctx, in, out); err != nil {
		return nil, err
	}
	for _, score := range s.scores {
		if score-score != 0 {
			return nil, fmt.Errorf("%s: the model gave a letter the score %v: its weights are broken, or its precision too low for it", r.path, score)
		}
	}
	return s.scores, nil
}

// fill writes rows and lengths and returns the longest.
func (s *scratch) fill(rows [][]int32) int {
	longest := 0
	for _, row := range rows {
		longest = max(longest, len(row))
	}
	s.tokens, s.lengths = grow(s.tokens, len(rows)*longest), grow(s.lengths, len(rows))
	clear(s.tokens)
	for i, row := range rows {
		copy(s.tokens[i*longest:], row)
		s.lengths[i] = int64(len(row))
	}
	return longest
}

// compute runs tokens behind before for their keys and values alone: the cache of both.
func (r *Ranker) compute(ctx context.Context, before *cache, tokens []int32) (*cache, error) {
	s := r.newScratch() // whose keys and values become the cache's
	if _, err := r.feed(ctx, s, before, tokens); err != nil {
		return nil, err
	}
	return &cache{before.length + len(tokens), s.present}, nil
}

// beginning is the cache of the prefix, computed by the first caller.
func (r *Ranker) beginning(ctx context.Context) (*cache, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.kept == nil {
		kept, err := r.compute(ctx, r.nothing(), r.prefix)
		if err != nil {
			return nil, err
		}
		r.kept = kept
	}
	return r.kept, nil
}

// nothing is the empty cache.
func (r *Ranker) nothing() *cache { return &cache{tensor: make([][]float32, 2*r.layers)} }

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
