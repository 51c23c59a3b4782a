package loop

import "math/rand/v2"

// Order deals out samples in batches: every epoch in another order, which depends on seed and epoch only, so that a run goes
// on from any step. The last batch of an epoch holds what is left.
type Order struct {
	seed  uint64
	size  int
	epoch int // of order; -1 at first
	order []int32
}

// NewOrder deals out that many samples (at least one), size at a time.
func NewOrder(samples, size int, seed uint64) *Order {
	return &Order{seed: seed, size: size, epoch: -1, order: make([]int32, samples)}
}

// perEpoch is the number of batches in an epoch.
func (o *Order) perEpoch() int { return (len(o.order) + o.size - 1) / o.size }

// Batch is that of a step, counted from 0, and its epoch; it is good until the next call.
func (o *Order) Batch(step int) (batch []int32, epoch int) {
	if epoch = step / o.perEpoch(); epoch != o.epoch {
		o.shuffle(epoch)
	}
	from := step % o.perEpoch() * o.size
	return o.order[from:min(from+o.size, len(o.order))], epoch
}

// Seen is how many samples the first steps have dealt out.
func (o *Order) Seen(steps int) int {
	return steps/o.perEpoch()*len(o.order) + steps%o.perEpoch()*o.size
}

func (o *Order) shuffle(epoch int) {
	for i := range o.order {
		o.order[i] = int32(i)
	}
	random := rand.New(rand.NewPCG(o.seed, uint64(epoch)<<8|3))
	random.Shuffle(len(o.order), func(i, j int) { o.order[i], o.order[j] = o.order[j], o.order[i] })
	o.epoch = epoch
}
