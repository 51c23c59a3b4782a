package lrurec

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"mllm4rec/data/table"
	"mllm4rec/internal/fail"
	"mllm4rec/pipeline/train/loop"
)

// sequences are all users' training items in one run, and who is validated with what.
type sequences struct {
	items   []int32
	windows []window // training samples
	checks  []check  // a validation each
	counts  []int64  // [items+1], how often each item occurs in training
	digest  string   // of all of the above
}

// window is a training sample: inputs items[from:to], labels items[from+1:to+1].
type window struct{ from, to int }

// check is a validation: after items[from:to] comes label.
type check struct {
	from, to int
	label    int32
}

// readSequences reads sequences.parquet. A user's training items are cut from the end into windows of length steps; the
// rest at the front is a shorter window, so that every item but a user's first is a label exactly once.
func readSequences(ctx context.Context, path string, items, length int) (*sequences, error) {
	reader, err := table.Open[table.Sequence](path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = reader.Close() }()
	s := &sequences{counts: make([]int64, items+1)}
	hash := sha256.New()
	row := 0
	for sequence, err := range reader.Rows() {
		if err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if bad, ok := outside(sequence, items); ok {
			return nil, fail.Usagef("%s: row %d: item %d is not in the catalogue of %d items", path, row, bad, items)
		}
		s.add(sequence, length)
		_ = binary.Write(hash, binary.LittleEndian, append(sequence.Train, int32(len(sequence.Train)), sequence.Val))
		row++
	}
	if len(s.windows) == 0 {
		return nil, fail.Usagef("%s: no user has two training items, so there is nothing to learn", path)
	}
	s.digest = hex.EncodeToString(hash.Sum(nil))
	return s, nil
}

// outside finds an item id that is not in 1 … items. A validation item of 0 means that there is none.
func outside(sequence table.Sequence, items int) (int32, bool) {
	for _, item := range sequence.Train {
		if item < 1 || int(item) > items {
			return item, true
		}
	}
	return sequence.Val, sequence.Val < 0 || int(sequence.Val) > items
}

func (s *sequences) add(sequence table.Sequence, length int) {
	start, end := len(s.items), len(s.items)+len(sequence.Train)
	s.items = append(s.items, sequence.Train...)
	for _, item := range sequence.Train {
		s.counts[item]++
	}
	for to := end - 1; to > start; to -= length {
		s.windows = append(s.windows, window{max(start, to-length), to})
	}
	if sequence.Val > 0 && end > start {
		s.checks = append(s.checks, check{max(start, end-length), end, sequence.Val})
	}
}

// batches packs the windows that an order deals out.
type batches struct {
	data  *sequences
	order *loop.Order
	size  int
	batch Batch
}

func newBatches(data *sequences, seed uint64, size int) *batches {
	return &batches{data: data, order: loop.NewOrder(len(data.windows), size, seed), size: size}
}

// at is the batch of a step, counted from 0; it is good until the next call.
func (b *batches) at(step int) Batch {
	b.batch.Items, b.batch.Labels, b.batch.Starts = b.batch.Items[:0], b.batch.Labels[:0], append(b.batch.Starts[:0], 0)
	windows, _ := b.order.Batch(step)
	for _, i := range windows {
		w := b.data.windows[i]
		b.batch.Items = append(b.batch.Items, b.data.items[w.from:w.to]...)
		b.batch.Labels = append(b.batch.Labels, b.data.items[w.from+1:w.to+1]...)
		b.batch.Starts = append(b.batch.Starts, int32(len(b.batch.Items)))
	}
	return b.batch
}

// mostRows is the largest number of positions a batch can have.
func (b *batches) mostRows() int {
	longest := 0
	for _, w := range b.data.windows {
		longest = max(longest, w.to-w.from)
	}
	for _, c := range b.data.checks {
		longest = max(longest, c.to-c.from)
	}
	return b.size * longest
}
