package evaluate

import "slices"

// popularity proposes the items that stand in train most often, a user's repetitions included, those of the history left out.
// Among equals the lower id comes first.
type popularity struct {
	order []int32 // items, most popular first
	marks marks
}

// newPopularity orders the items 1…len(counts)-1 by their counts.
func newPopularity(counts []int64) *popularity {
	order := make([]int32, len(counts)-1)
	for i := range order {
		order[i] = int32(i + 1)
	}
	slices.SortStableFunc(order, func(a, b int32) int {
		switch {
		case counts[a] > counts[b]:
			return -1
		case counts[a] < counts[b]:
			return 1
		}
		return 0
	})
	return &popularity{order: order, marks: newMarks(len(order))}
}

// topK returns the k most popular items outside the history.
func (p *popularity) topK(history []int32, k int) []int32 {
	p.marks.set(history)
	list := make([]int32, 0, k)
	for _, item := range p.order {
		if len(list) == k {
			break
		}
		if !p.marks.has(item) {
			list = append(list, item)
		}
	}
	return list
}

// marks is a set of items that is emptied at no cost.
type marks struct {
	round int64
	of    []int64 // by item: the round in which it was set
}

func newMarks(items int) marks { return marks{of: make([]int64, items+1)} }

// set makes the items the only ones of the set, and returns how many different ones they are.
func (m *marks) set(items []int32) (distinct int) {
	m.round++
	for _, item := range items {
		if m.of[item] != m.round {
			m.of[item] = m.round
			distinct++
		}
	}
	return distinct
}

func (m *marks) has(item int32) bool { return m.of[item] == m.round }
