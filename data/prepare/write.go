package prepare

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"

	"mllm4rec/data/table"
)

// write numbers what is left and writes the four tables.
func (b *builder) write(ctx context.Context, dir string) error {
	users := b.users.order(func(n uint32) bool { return b.ofUser[n] > 0 })
	items := b.items.order(func(n uint32) bool { return b.ofItem[n] > 0 })
	b.users.freeze()
	b.items.freeze()
	b.stats.Users, b.stats.Items = len(users), len(items)
	userID, itemID := dense(users, b.users.len()), dense(items, b.items.len())
	// The log is held twice for a moment. Without these two calls the garbage of all steps before would be held as well.
	debug.FreeOSMemory()
	sorted, begins := b.events.byUser(userID, itemID, b.ofUser, len(users))
	b.ofUser, b.ofItem = nil, nil
	debug.FreeOSMemory()
	if err := sortEach(ctx, sorted, begins); err != nil {
		return err
	}
	if err := b.writeItems(filepath.Join(dir, "items.parquet"), items); err != nil {
		return err
	}
	if err := b.writeUsers(filepath.Join(dir, "users.parquet"), users); err != nil {
		return err
	}
	w := tableWriter{builder: b, users: users, items: items, sorted: sorted, begins: begins}
	return w.write(ctx, dir)
}

// dense turns an order of numbers into ids from 1, by number; 0 for those that are not in it.
func dense(order []uint32, numbers int) []int32 {
	ids := make([]int32, numbers)
	for i, n := range order {
		ids[n] = int32(i + 1)
	}
	return ids
}

func (b *builder) writeItems(path string, order []uint32) error {
	w, err := table.Create[table.Item](path)
	if err != nil {
		return err
	}
	defer w.Abort()
	digest := sha256.New()
	for i, n := range order {
		id := string(b.items.at(n))
		row := table.Item{ItemID: int32(i + 1), SourceID: id}
		if b.hasMetadata {
			m := b.metadata[n]
			row.Title, row.ImageURL, row.ImagePath, row.Categories = m.Title, m.ImageURL, m.ImagePath, m.Categories
		}
		if row.Title == "" {
			row.Title = id
			b.stats.MissingTitles++
		}
		if err := w.Write(row); err != nil {
			return err
		}
		digest.Write(append([]byte(id), '\n'))
	}
	b.stats.ItemsSHA256 = hexDigest(digest)
	b.metadata = nil
	return w.Commit()
}

func (b *builder) writeUsers(path string, order []uint32) error {
	w, err := table.Create[table.User](path)
	if err != nil {
		return err
	}
	defer w.Abort()
	for i, n := range order {
		if err := w.Write(table.User{UserID: int32(i + 1), SourceID: string(b.users.at(n))}); err != nil {
			return err
		}
	}
	return w.Commit()
}

// sortEach sorts the events of every user by time, then item, then rating, on all cores.
func sortEach(ctx context.Context, sorted []event, begins []int64) error {
	const share = 1024 // users that a worker takes at once
	users := len(begins) - 1
	next := make(chan int)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for first := range next {
				for u := first; u < min(first+share, users); u++ {
					slices.SortFunc(sorted[begins[u]:begins[u+1]], compareEvents)
				}
			}
		})
	}
	for first := 0; first < users && ctx.Err() == nil; first += share {
		next <- first
	}
	close(next)
	wg.Wait()
	return ctx.Err()
}

func compareEvents(a, b event) int {
	if c := cmp.Compare(a.timestamp, b.timestamp); c != 0 {
		return c
	}
	if c := cmp.Compare(a.item, b.item); c != 0 {
		return c
	}
	return cmp.Compare(a.rating, b.rating)
}

// tableWriter writes interactions and sequences side by side.
type tableWriter struct {
	*builder
	users, items []uint32
	sorted       []event
	begins       []int64
	interactions *table.Writer[table.Interaction]
	sequences    *table.Writer[table.Sequence]
	digest       hash.Hash
	line         []byte
	train        []int32
	rows         []table.Interaction
}

func (w *tableWriter) write(ctx context.Context, dir string) (err error) {
	if w.interactions, err = table.Create[table.Interaction](filepath.Join(dir, "interactions.parquet")); err != nil {
		return err
	}
	defer w.interactions.Abort()
	if w.sequences, err = table.Create[table.Sequence](filepath.Join(dir, "sequences.parquet")); err != nil {
		return err
	}
	defer w.sequences.Abort()
	w.digest = sha256.New()
	bar := w.progress.Start("write tables", int64(len(w.sorted)), "interactions")
	defer bar.Finish()
	for u := range w.users {
		if err := ctx.Err(); err != nil {
			return err
		}
		events := w.sorted[w.begins[u]:w.begins[u+1]]
		if err := w.user(u, events); err != nil {
			return err
		}
		bar.Add(int64(len(events)))
	}
	w.stats.MeanLength = float64(w.stats.Interactions) / float64(len(w.users))
	w.stats.SequencesSHA256 = hexDigest(w.digest)
	if err := w.interactions.Commit(); err != nil {
		return err
	}
	return w.sequences.Commit()
}

// user writes the rows of one user, the u-th from 0.
func (w *tableWriter) user(u int, events []event) error {
	w.train, w.rows = w.train[:0], w.rows[:0]
	w.line = append(append(w.line[:0], w.builder.users.at(w.users[u])...), ':')
	for i, e := range events {
		w.rows = append(w.rows, table.Interaction{UserID: int32(u + 1), ItemID: e.item, Rating: e.rating, Timestamp: e.timestamp})
		w.train = append(w.train, e.item)
		if i > 0 {
			w.line = append(w.line, ',')
		}
		w.line = append(w.line, w.builder.items.at(w.items[e.item-1])...)
	}
	w.digest.Write(append(w.line, '\n'))
	if err := w.interactions.Write(w.rows...); err != nil {
		return err
	}
	n := len(w.train)
	if w.stats.MinLength == 0 || n < w.stats.MinLength {
		w.stats.MinLength = n
	}
	w.stats.MaxLength = max(w.stats.MaxLength, n)
	return w.sequences.Write(table.Sequence{UserID: int32(u + 1), Train: w.train[:n-2], Val: w.train[n-2], Test: w.train[n-1]})
}

func hexDigest(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }
