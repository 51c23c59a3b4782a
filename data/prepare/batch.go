package prepare

import (
	"math"

	"mllm4rec/data/source"
	"mllm4rec/internal/fail"
)

const batchRows = 256

// batch collects interactions before their ids are looked up, which is faster for many at once.
type batch struct {
	*builder
	n            int
	text         []byte // ids of the batch, one after the other: the source reuses its own memory
	users, items [batchRows][]byte
	numbers      [2][batchRows]uint32 // of users and items
	ratings      [batchRows]float32
	timestamps   [batchRows]int64
}

func newBatch(b *builder) *batch { return &batch{builder: b} }

func (b *batch) add(in source.Interaction) error {
	b.users[b.n], b.items[b.n] = b.keep(in.User), b.keep(in.Item)
	b.ratings[b.n], b.timestamps[b.n] = in.Rating, in.Timestamp
	if b.n++; b.n == batchRows {
		return b.flush()
	}
	return nil
}

func (b *batch) keep(id []byte) []byte {
	start := len(b.text)
	b.text = append(b.text, id...)
	return b.text[start:]
}

// flush numbers the ids and appends the batch to the log.
func (b *batch) flush() error {
	users, items := &b.numbers[0], &b.numbers[1]
	b.builder.users.addAll(b.users[:b.n], users[:])
	b.builder.items.addAll(b.items[:b.n], items[:])
	if b.builder.users.len() > math.MaxInt32-2 || b.builder.items.len() > math.MaxInt32-2 {
		return fail.Usagef("prepare: more than 2,147,483,645 users or items")
	}
	for i := range b.n {
		b.events.add(users[i], items[i], b.ratings[i], b.timestamps[i])
	}
	b.n, b.text = 0, b.text[:0]
	return nil
}
