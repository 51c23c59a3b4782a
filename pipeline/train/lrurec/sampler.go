package lrurec

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
)

// sampler draws negatives, with replacement, and knows how likely each is.
type sampler struct {
	items      int
	logUniform bool
	byRank     []int32   // log-uniform: items, most popular first
	rank       []int32   // log-uniform: its inverse, by item
	cumulative []float64 // popularity: of counts + 1, by item; else nil
}

// newSampler makes a sampler over items 1 … len(counts)-1; counts [items+1] is how often each occurs in training.
func newSampler(kind string, counts []int64) *sampler {
	s := &sampler{items: len(counts) - 1, logUniform: kind == "log_uniform"}
	switch kind {
	case "log_uniform":
		s.byRank = make([]int32, s.items)
		for i := range s.byRank {
			s.byRank[i] = int32(i + 1)
		}
		slices.SortStableFunc(s.byRank, func(a, b int32) int { return cmp.Compare(counts[b], counts[a]) })
		s.rank = make([]int32, s.items+1)
		for r, item := range s.byRank {
			s.rank[item] = int32(r)
		}
	case "popularity":
		s.cumulative = make([]float64, s.items+1)
		for i := 1; i <= s.items; i++ {
			s.cumulative[i] = s.cumulative[i-1] + float64(counts[i]) + 1
		}
	}
	return s
}

// draw picks one item.
func (s *sampler) draw(random *rand.Rand) int32 {
	u := random.Float64()
	switch {
	case s.logUniform:
		r := int(math.Exp(u*math.Log(float64(s.items)+1))) - 1
		return s.byRank[min(r, s.items-1)]
	case s.cumulative != nil:
		target := u * s.cumulative[s.items]
		return int32(min(1+sort.Search(s.items, func(i int) bool { return s.cumulative[i+1] > target }), s.items))
	}
	return int32(1 + random.IntN(s.items))
}

// probability is how likely one draw picks item.
func (s *sampler) probability(item int32) float64 {
	switch {
	case s.logUniform:
		r := float64(s.rank[item])
		return math.Log((r+2)/(r+1)) / math.Log(float64(s.items)+1)
	case s.cumulative != nil:
		return (s.cumulative[item] - s.cumulative[item-1]) / s.cumulative[s.items]
	}
	return 1 / float64(s.items)
}
