package tokenizer

// candidate is a merge that was possible at symbol at when it was put on the heap.
type candidate struct {
	rank, at, id int32
	left, right  int32
}

// before is by rank, then from the left.
func (c candidate) before(o candidate) bool {
	return c.rank < o.rank || c.rank == o.rank && c.at < o.at
}

// heap is a binary heap, the first candidate on top.
type heap []candidate

func (h *heap) push(c candidate) {
	*h = append(*h, c)
	s := *h
	for i := len(s) - 1; i > 0; {
		parent := (i - 1) / 2
		if !s[i].before(s[parent]) {
			break
		}
		s[i], s[parent] = s[parent], s[i]
		i = parent
	}
}

func (h *heap) pop() candidate {
	s := *h
	top := s[0]
	s[0] = s[len(s)-1]
	s = s[:len(s)-1]
	for i := 0; ; {
		child := 2*i + 1
		if child >= len(s) {
			break
		}
		if child+1 < len(s) && s[child+1].before(s[child]) {
			child++
		}
		if !s[child].before(s[i]) {
			break
		}
		s[i], s[child] = s[child], s[i]
		i = child
	}
	*h = s
	return top
}

// chain is a word whose symbols are linked, so that one goes without moving the others.
type chain struct {
	*bpe
	ids, previous, next []int32
	heap                heap
}

// mergeLong is mergeAll in n log n steps for n symbols: a title of a million letters stays a matter of a second.
func (b *bpe) mergeLong(ids []int32) []int32 {
	c := chain{bpe: b, ids: ids, previous: make([]int32, len(ids)), next: make([]int32, len(ids))}
	for i := range ids {
		c.previous[i], c.next[i] = int32(i)-1, int32(i)+1
	}
	for i := range len(ids) - 1 {
		c.offer(int32(i))
	}
	for len(c.heap) > 0 {
		c.merge(c.heap.pop())
	}
	left := ids[:0]
	for i := int32(0); int(i) < len(ids); i = c.next[i] {
		left = append(left, ids[i])
	}
	return left
}

// offer puts the merge of a symbol with its neighbour on the heap, if there is one.
func (c *chain) offer(at int32) {
	next := c.next[at]
	if at < 0 || int(next) >= len(c.ids) {
		return
	}
	if m := c.lookup(c.ids[at], c.ids[next]); m.rank != noMerge {
		c.heap.push(candidate{rank: m.rank, at: at, id: m.id, left: c.ids[at], right: c.ids[next]})
	}
}

// gone marks a symbol that was merged into the one before it.
const gone = -1

// merge carries out a candidate, unless its symbols are no longer what they were.
func (c *chain) merge(m candidate) {
	if c.ids[m.at] != m.left {
		return
	}
	next := c.next[m.at]
	if int(next) >= len(c.ids) || c.ids[next] != m.right {
		return
	}
	c.ids[m.at], c.ids[next] = m.id, gone
	after := c.next[next]
	c.next[m.at] = after
	if int(after) < len(c.ids) {
		c.previous[after] = m.at
	}
	if before := c.previous[m.at]; before >= 0 {
		c.offer(before)
	}
	c.offer(m.at)
}
