package metric

import "math/bits"

// Seen collects which items of a catalogue appeared in anyone's list: one bit an item.
type Seen struct {
	words []uint64
	items int
}

// NewSeen is for items numbered 1…items.
func NewSeen(items int) *Seen { return &Seen{make([]uint64, items/64+1), items} }

// Add marks the items of one list. Numbers outside 1…items are ignored: they are in no catalogue.
func (s *Seen) Add(list []int32) {
	for _, item := range list {
		if item >= 1 && int(item) <= s.items {
			s.words[item/64] |= 1 << (item % 64)
		}
	}
}

// Share is the number of items seen over the number of items there are; zero for an empty catalogue.
func (s *Seen) Share() float64 {
	seen := 0
	for _, w := range s.words {
		seen += bits.OnesCount64(w)
	}
	return float64(seen) / float64(max(s.items, 1))
}
