package lora

import (
	"cmp"
	"slices"
)

// leastShared is how many tokens samples must have in common to be computed once: below that, packing costs more.
const leastShared = 16

// span is a run of tokens that all samples below it share. Its layout is that of the kernel: first and last query row, first
// and last pair in the chains.
type span struct{ queryFrom, queryTo, chainFrom, chainTo int32 }

// walk is what attention goes through: queries with their positions, and the keys that each span of them sees.
type walk struct {
	spans     []span
	chains    []int32 // pairs: first row, end
	positions []int32 // of the queries
}

// packed is a micro-batch: the tokens of its samples row after row, without padding, and what samples begin with in common
// only once. Sharing is exact, because a token's hidden state depends on the tokens before it alone.
type packed struct {
	tokens []int32
	all    walk // every row is a query
	// answers are the rows whose result is read, ascending; last are they as queries of the last layer, in that order.
	answers []int32
	last    walk
	// places [answer] is where an answer belongs: sample · tail + position among the sample's last tail tokens.
	places []int32
}

// pack lays out samples; the last tail tokens of each are answers.
func pack(samples [][]int32, tail int) *packed {
	p := &packed{}
	order := make([]int, len(samples))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return slices.Compare(samples[a], samples[b]) })
	b := packer{packed: p, samples: samples, tail: tail}
	b.group(order, 0, nil)
	b.finish()
	return p
}

// packer walks the tree of common beginnings depth first.
type packer struct {
	*packed
	samples [][]int32
	tail    int
	found   []answer
}

// answer is a row to be read and the span that it lies in.
type answer struct{ row, place, span int32 }

// group lays out sorted samples that agree up to depth, on top of the rows of chain.
func (b *packer) group(order []int, depth int, chain []int32) {
	if len(order) == 1 {
		if end := len(b.samples[order[0]]); end > depth {
			b.run(order, depth, end, chain)
		}
		return
	}
	first, last := b.samples[order[0]], b.samples[order[len(order)-1]]
	if shared := common(first, last); shared >= depth+leastShared {
		chain = b.run(order, depth, shared, chain)
		depth = shared
	}
	for from := 0; from < len(order); {
		to := from + 1
		for to < len(order) && common(b.samples[order[from]], b.samples[order[to]]) >= depth+leastShared {
			to++
		}
		b.group(order[from:to], depth, chain)
		from = to
	}
}

// common is the number of tokens that a and b begin with alike.
func common(a, b []int32) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// run lays out tokens depth … end of samples that agree there, notes which of them are answers, and returns the chain with
// the new rows.
func (b *packer) run(order []int, depth, end int, chain []int32) []int32 {
	row := int32(len(b.tokens))
	b.tokens = append(b.tokens, b.samples[order[0]][depth:end]...)
	for position := depth; position < end; position++ {
		b.all.positions = append(b.all.positions, int32(position))
	}
	chain = append(slices.Clone(chain), row, int32(len(b.tokens)))
	from := int32(len(b.all.chains) / 2)
	b.all.chains = append(b.all.chains, chain...)
	b.all.spans = append(b.all.spans, span{row, int32(len(b.tokens)), from, int32(len(b.all.chains) / 2)})
	for _, s := range order {
		n := len(b.samples[s])
		for position := max(depth, n-b.tail); position < min(end, n); position++ {
			b.found = append(b.found, answer{row + int32(position-depth), int32(s*b.tail + position - (n - b.tail)), int32(len(b.all.spans) - 1)})
		}
	}
	return chain
}

// finish lists the answers and makes them the queries of the last layer.
func (b *packer) finish() {
	slices.SortStableFunc(b.found, func(x, y answer) int { return cmp.Compare(x.row, y.row) })
	b.last.chains = b.all.chains
	for i, a := range b.found {
		b.answers, b.places = append(b.answers, a.row), append(b.places, a.place)
		b.last.positions = append(b.last.positions, b.all.positions[a.row])
		if i == 0 || a.span != b.found[i-1].span {
			s := b.all.spans[a.span]
			b.last.spans = append(b.last.spans, span{int32(i), int32(i), s.chainFrom, s.chainTo})
		}
		b.last.spans[len(b.last.spans)-1].queryTo = int32(i + 1)
	}
}
