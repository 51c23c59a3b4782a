package prepare

import (
	"context"

	"mllm4rec/data/source"
	"mllm4rec/internal/fail"
	"mllm4rec/internal/progress"
)

// builder carries a preparation from step to step.
type builder struct {
	options      Options
	progress     *progress.Printer
	stats        Stats
	users, items *dictionary
	events       events
	metadata     []source.Item // by item number; ID is set where the metadata holds the item
	hasMetadata  bool
	ofUser       []uint32 // interactions left, by user number
	ofItem       []uint32
}

// read reads the log, then the metadata of the items in it.
func (b *builder) read(ctx context.Context, src source.Source, r *rejects) error {
	minRating := float32(b.options.MinRating)
	b.stats.Rejected, b.stats.RejectedItems = map[string]int64{}, map[string]int64{}
	log := source.Log{Reject: r.into(b.stats.Rejected), Progress: b.progress}
	batch := newBatch(b)
	err := src.Interactions(ctx, log, func(in source.Interaction) error {
		b.stats.RawRows++
		if in.Rating < minRating {
			b.stats.DroppedByRating++
			return nil
		}
		return batch.add(in)
	})
	if err == nil {
		err = batch.flush()
	}
	b.stats.RawRows += r.total
	if err != nil || !src.HasItems() {
		return err
	}
	log.Reject = r.into(b.stats.RejectedItems)
	b.hasMetadata = true
	b.metadata = make([]source.Item, b.items.len())
	return src.Items(ctx, log, b.describe)
}

var held = []byte{}

// describe keeps the metadata of an item that is in the log.
func (b *builder) describe(item source.Item) error {
	n, ok := b.items.lookup(item.ID)
	if !ok {
		return nil
	}
	if first := b.metadata[n]; first.ID != nil && (first.Title != "" || item.Title == "") {
		return nil
	}
	item.ID = held
	b.metadata[n] = item
	return nil
}

// filter applies the metadata and the k-core, and says so if nothing is left.
func (b *builder) filter(ctx context.Context) error {
	o := b.options
	if b.events.rows == 0 {
		return fail.Usagef("prepare: no interaction is left: all %d are rated below data.min_rating %v: lower it", b.stats.RawRows, o.MinRating)
	}
	if b.hasMetadata {
		b.stats.DroppedByMetadata = b.events.keep(func(_, item uint32) bool { return b.metadata[item].ID != nil })
		if b.events.rows == 0 {
			return fail.Usagef("prepare: no interaction is left: the item metadata holds none of the %d items of the log: do the two files belong together?", b.items.len())
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	b.stats.DroppedByKCore, b.ofUser, b.ofItem = b.events.kCore(b.users.len(), b.items.len(), o.MinUser, o.MinItem)
	if b.events.rows == 0 {
		return fail.Usagef("prepare: no interaction is left: the k-core (%d a user, %d an item) took the last %d: lower data.min_user_interactions or data.min_item_interactions, or bring more data",
			o.MinUser, o.MinItem, b.stats.DroppedByKCore)
	}
	b.stats.Interactions = b.events.rows
	return ctx.Err()
}
