package evaluate

import (
	"math"

	"mllm4rec/data/metric"
)

// chance is what a random order of the items outside the history can expect, without drawing one.
type chance struct {
	items  int
	marks  marks
	mean   metric.Mean
	misses map[int]*missed // by k
}

// missed holds logarithms of the chance that an item is in nobody's list: over all users, and to take back for each item
// the users who have it in their history. Logarithms, since the products are of as many factors as there are users.
type missed struct {
	all  float64
	back []float64 // by item
}

func newChance(items int) *chance {
	c := &chance{items: items, marks: newMarks(items), misses: map[int]*missed{}}
	for _, k := range coverageCutoffs() {
		c.misses[k] = &missed{back: make([]float64, items+1)}
	}
	return c
}

// add counts one user.
func (c *chance) add(history []int32, label int32) {
	open := c.items - c.marks.set(history)
	if c.marks.has(label) {
		c.mean.Add(metric.Missing)
	} else {
		c.mean.AddUniform(open)
	}
	for k, m := range c.misses {
		// An item is surely shown where no more than k are open; its logarithm stays finite to be taken back.
		const sure = 1 - 1e-15
		miss := math.Log1p(-min(float64(k)/float64(max(open, 1)), sure))
		m.all += miss
		c.forget(m, history, miss)
	}
}

// forget takes a user's chance back for the different items of the history, which the user cannot be shown.
func (c *chance) forget(m *missed, history []int32, miss float64) {
	c.marks.set(nil)
	for _, item := range history {
		if !c.marks.has(item) {
			c.marks.of[item] = c.marks.round
			m.back[item] += miss
		}
	}
}

func (c *chance) values() []metric.Value {
	values := c.mean.Values()
	for _, k := range coverageCutoffs() {
		m, shown := c.misses[k], 0.0
		for item := 1; item <= c.items; item++ {
			shown += 1 - math.Exp(m.all-m.back[item])
		}
		values = append(values, metric.Value{Metric: metric.Coverage, K: k, Value: shown / float64(max(c.items, 1))})
	}
	return values
}
