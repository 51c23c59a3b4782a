package ranker

import (
	"context"
	"math/rand/v2"
	"slices"

	"mllm4rec/data/table"
	"mllm4rec/internal/fail"
	"mllm4rec/pipeline/train/torch"
)

// negatives draws the wrong candidates of training prompts. What it draws depends on seed, sample and epoch only.
type negatives struct {
	data  *sequences
	items int // of the catalogue
	seed  uint64
	// positives counts the right answers: the item that came next, and those that followed it.
	positives int
	// share is how much of a prompt's negatives are hard: 0 (random), 1 (retriever) or a half (mixed).
	share float64
	// hard are the retriever's items of each sample, best first, start[i] … start[i+1]; nil where share is 0.
	hard  []int32
	start []int
	// found are the samples to train with where candidates are the retriever's own list: those with a right answer in it, as
	// at inference. nil is all.
	found []int32
}

// samples is how many there are to train with.
func (n *negatives) samples() int {
	if n.found == nil {
		return n.data.samples()
	}
	return len(n.found)
}

// sample is the i-th of those to train with, as the sequences number it.
func (n *negatives) sample(i int) int {
	if n.found == nil {
		return i
	}
	return int(n.found[i])
}

// readNegatives reads negatives.parquet, where the kind needs it.
func readNegatives(ctx context.Context, data *sequences, kind, path string, items, positives int, seed uint64) (*negatives, error) {
	n := &negatives{data: data, items: items, positives: positives, seed: seed, share: map[string]float64{"retriever": 1, "retrieved": 1, "mixed": 0.5}[kind]}
	if n.share == 0 {
		return n, nil
	}
	n.start = make([]int, data.samples()+1)
	next := 0 // the first sample that has no row yet
	err := eachRow(ctx, path, func(_ int, row table.Negatives) error {
		user, ok := data.place[row.UserID]
		sample := -1
		if ok {
			sample = data.index(user, int(row.Position))
		}
		if sample < next {
			return fail.Usagef("user %d, position %d: these negatives belong to other sequences, or are not in their order", row.UserID, row.Position)
		}
		for ; next <= sample; next++ {
			n.start[next] = len(n.hard)
		}
		for _, item := range row.Items {
			if item < 1 || int(item) > items {
				return fail.Usagef("item %d is not in the catalogue of %d items", item, items)
			}
		}
		n.hard = append(n.hard, row.Items...)
		return nil
	})
	for ; next < len(n.start); next++ {
		n.start[next] = len(n.hard)
	}
	if err == nil && len(n.hard) == 0 {
		err = fail.Usagef("%s: no sample of these sequences has negatives", path)
	}
	if err == nil && kind == "retrieved" {
		err = n.keepFound()
	}
	return n, err
}

// keepFound leaves the samples that have a right answer in the retriever's list.
func (n *negatives) keepFound() error {
	n.found = []int32{}
	for sample := range n.data.samples() {
		if len(n.retrieved(sample)) > 0 {
			n.found = append(n.found, int32(sample))
		}
	}
	if len(n.found) == 0 {
		return fail.Usagef("no training prompt has its answer in the retriever's list; set ranker.negatives to mixed, or candidates.k higher")
	}
	return nil
}

// right are the right answers of a sample: the item that came next, and those that followed it.
func (n *negatives) right(sample int) []int32 {
	user, position := n.data.sample(sample)
	return appendNew(nil, n.data.train[user][position:], n.positives)
}

// retrieved are those of them in the retriever's list.
func (n *negatives) retrieved(sample int) []int32 {
	list := n.hard[n.start[sample]:n.start[sample+1]]
	return slices.DeleteFunc(n.right(sample), func(item int32) bool { return !slices.Contains(list, item) })
}

// draw makes the candidates of a sample, the turn-th of the training: the right answers and negatives, count in all, in random
// order. labels are the places of the right ones, first that of the item that came next. A catalogue without enough other items
// gives fewer. Items that the user has in training are no random negatives, hard ones may be.
func (n *negatives) draw(sample, epoch, turn, count int) (items []int32, labels []int32) {
	user, _ := n.data.sample(sample)
	random := rand.New(rand.NewPCG(torch.Mix(n.seed, uint64(epoch), 2), uint64(sample)))
	right := n.right(sample)
	if n.found != nil {
		right = n.retrieved(sample)
	}
	items = append(make([]int32, 0, count), right...)
	if n.share > 0 {
		items = appendNew(items, n.hard[n.start[sample]:n.start[sample+1]], len(right)+int(n.share*float64(count-len(right))+0.5))
	}
	items = n.addRandom(items, n.data.train[user], count, random)
	others := items[len(right):]
	random.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	labels = n.places(turn, len(right), len(items))
	return arrange(right, others, labels), labels
}

// places are those of the right answers among count candidates. Turns take them from a shuffled deck of all places, so that a
// batch has each letter right about equally often: otherwise the model learns first of all which letters the last batches had.
func (n *negatives) places(turn, right, count int) []int32 {
	each := count / right // turns that a deck lasts
	deck := rand.New(rand.NewPCG(torch.Mix(n.seed, uint64(turn/each), 3), uint64(count))).Perm(count)
	labels := make([]int32, right)
	for i, place := range deck[turn%each*right:][:right] {
		labels[i] = int32(place)
	}
	return labels
}

// arrange puts the right items in their places and the others around them.
func arrange(right, others, places []int32) []int32 {
	items := make([]int32, len(right)+len(others))
	for i, place := range places {
		items[place] = right[i]
	}
	for i, next := 0, 0; i < len(items); i++ {
		if items[i] == 0 {
			items[i] = others[next]
			next++
		}
	}
	return items
}

// appendNew adds items that are not there yet, until there are count.
func appendNew(items, more []int32, count int) []int32 {
	for _, item := range more {
		if len(items) == count {
			break
		}
		if !slices.Contains(items, item) {
			items = append(items, item)
		}
	}
	return items
}

// addRandom draws items that are neither there nor among own, until there are count or no others. Drawing again what was
// drawn before is cheap as long as others are many; after that all others are shuffled.
func (n *negatives) addRandom(items, own []int32, count int, random *rand.Rand) []int32 {
	taken := make(map[int32]bool, len(own)+count)
	for _, item := range own {
		taken[item] = true
	}
	for _, item := range items {
		taken[item] = true
	}
	for len(items) < count && 2*len(taken) < n.items {
		if item := int32(1 + random.IntN(n.items)); !taken[item] {
			taken[item] = true
			items = append(items, item)
		}
	}
	if len(items) == count {
		return items
	}
	var others []int32
	for item := int32(1); int(item) <= n.items; item++ {
		if !taken[item] {
			others = append(others, item)
		}
	}
	random.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	return appendNew(items, others, count)
}
