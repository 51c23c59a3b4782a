// Package metric measures rankings: Recall, MRR and NDCG at k where every user has one relevant item, and the share of
// the catalogue that rankings show at all. In go ranks, one a user; out come means over users (never over batches).
//
// With one relevant item at rank r (1 is best): Recall@k = [r ≤ k], MRR@k = [r ≤ k]/r, NDCG@k = [r ≤ k]/log2(r+1), as
// in LlamaRec (arXiv 2311.02089). A rank beyond k counts zero, so a top-k list gives the same Recall@k, MRR@k and NDCG@k
// as the ranking of the whole catalogue.
package metric

import "math"

// Names of the metrics, as the metrics table spells them.
const (
	Recall   = "recall"
	MRR      = "mrr"
	NDCG     = "ndcg"
	Coverage = "coverage"
)

// Missing is the rank of an item that is in no list.
const Missing = 0

// Cutoffs returns the ks at which every metric is reported, ascending.
func Cutoffs() []int { return []int{1, 5, 10, 20, 50} }

// Value is one number of a table of metrics.
type Value struct {
	Metric string
	K      int
	Value  float64
}

// Mean is the running mean over users. The zero value is empty and ready. It is not safe for concurrent use.
type Mean struct {
	users int64
	hits  [5]sums
}

// sums are those of one cutoff.
type sums struct{ recall, mrr, ndcg float64 }

// Add counts one user whose relevant item stands at rank (1 is best), or at Missing.
func (m *Mean) Add(rank int) {
	m.users++
	if rank <= Missing {
		return
	}
	gain := sums{1, 1 / float64(rank), Discount(rank)}
	for i, k := range Cutoffs() {
		if rank <= k {
			m.hits[i].add(gain)
		}
	}
}

// AddUniform counts one user whose relevant item stands at every rank of 1…n with equal chance: the exact expectation
// for a random ranking of n items. n of zero counts as Missing.
func (m *Mean) AddUniform(n int) {
	m.users++
	for i, k := range Cutoffs() {
		var s sums
		for rank := 1; rank <= min(k, n); rank++ {
			s.add(sums{1, 1 / float64(rank), Discount(rank)})
		}
		if n > 0 { // divided last, so that a sure hit is exactly 1
			m.hits[i].add(sums{s.recall / float64(n), s.mrr / float64(n), s.ndcg / float64(n)})
		}
	}
}

// Users is the number of users counted.
func (m *Mean) Users() int64 { return m.users }

// Values returns Recall, MRR and NDCG at each cutoff, by k and then in that order. Over no users they are zero.
func (m *Mean) Values() []Value {
	n := float64(max(m.users, 1))
	var values []Value
	for i, k := range Cutoffs() {
		h := m.hits[i]
		values = append(values, Value{Recall, k, h.recall / n}, Value{MRR, k, h.mrr / n}, Value{NDCG, k, h.ndcg / n})
	}
	return values
}

func (s *sums) add(o sums) {
	s.recall += o.recall
	s.mrr += o.mrr
	s.ndcg += o.ndcg
}

// Discount is what a hit at rank is worth in NDCG: 1/log2(rank+1).
func Discount(rank int) float64 { return 1 / math.Log2(float64(rank)+1) }
