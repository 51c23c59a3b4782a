package rank

import (
	"container/list"
	"context"
	"encoding/binary"
	"hash/maphash"
	"sync"
)

// minKept is how many tokens behind the prefix a beginning must have to be kept. Of the CPU time of a prompt of 300 tokens
// (SmolLM2-135M, int8, a prefix of 25; medians of 9 on a busy machine) 16 kept ones save 7%, 64 save 22%, 128 save 44%; the call
// that keeps them took 1% to 8% more.
const minKept = 16

// Kept is what became of the beginnings that prompts name as Shared.
type Kept struct {
	// Hits are prompts, or neighbours that were computed together, whose beginning was there; Misses are all others.
	Hits, Misses int64
	// Entries are the beginnings that are held, Bytes what their keys and values take.
	Entries int
	Bytes   int64
}

// Keep keeps the keys and values of beginnings, Prompt.Shared tokens long, in up to so many bytes; the one that was asked
// for least recently goes first. A beginning is kept when it comes for the second time within some thousands of others: most
// never do. One of fewer than 16 tokens behind the prefix is not worth it. 0 keeps none, and so does a device, where keys
// and values stay on it. Keep is called before there are prompts.
func (r *Ranker) Keep(bytes int64) {
	r.memory = nil
	if bytes > 0 && r.tokens == 0 {
		r.memory = &memory{most: bytes, seed: maphash.MakeSeed(), entries: map[string]*list.Element{}, order: list.New()}
	}
}

// Kept tells what is kept and what it was good for.
func (r *Ranker) Kept() Kept {
	if r.memory == nil {
		return Kept{}
	}
	r.memory.mutex.Lock()
	defer r.memory.mutex.Unlock()
	k := r.memory.counts
	k.Entries = len(r.memory.entries)
	return k
}

// remembered is the cache of the first shared tokens, where it is kept or is now; otherwise it is before, that of fewer.
func (r *Ranker) remembered(ctx context.Context, before *cache, tokens []int32, shared int) (*cache, error) {
	shared = min(shared, len(tokens)-1)
	if r.memory == nil || shared < before.length+minKept {
		return before, nil
	}
	key := keyOf(tokens[:shared])
	found, again := r.memory.find(key)
	if found != nil {
		return found, nil
	}
	size := r.bytesOf(shared)
	if !again || size+int64(len(key)) > r.memory.most {
		return before, nil
	}
	computed, err := r.compute(ctx, before, tokens[before.length:shared])
	if err != nil {
		return nil, err
	}
	r.memory.add(key, computed, size)
	return computed, nil
}

// bytesOf is what the keys and values of so many tokens take.
func (r *Ranker) bytesOf(tokens int) int64 {
	const number = 4
	return int64(2*r.layers) * int64(r.kvHeads) * int64(r.headSize) * int64(tokens) * number
}

// keyOf is the tokens as bytes: equal for equal tokens, and only for those.
func keyOf(tokens []int32) string {
	key := make([]byte, 0, 4*len(tokens))
	for _, token := range tokens {
		key = binary.LittleEndian.AppendUint32(key, uint32(token))
	}
	return string(key)
}

// memory holds caches, the one that was used least recently going first. Those that leave it while a run uses them live as
// long as that. Its methods may be called from several goroutines at once.
type memory struct {
	most int64
	seed maphash.Seed

	mutex   sync.Mutex
	entries map[string]*list.Element
	order   *list.List // of *entry, the one used last in front
	counts  Kept
	seen    [seenPlaces]uint64
}

// seenPlaces is how many beginnings that came once are remembered: each in the place that its hash says, until another
// comes there.
const seenPlaces = 4096

type entry struct {
	key   string
	cache *cache
	bytes int64
}

// find looks a beginning up, and tells whether it has come before.
func (m *memory) find(key string) (found *cache, again bool) {
	hash := maphash.String(m.seed, key)
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if e := m.entries[key]; e != nil {
		m.counts.Hits++
		m.order.MoveToFront(e)
		return e.Value.(*entry).cache, true
	}
	m.counts.Misses++
	place := &m.seen[hash%seenPlaces]
	again = *place == hash
	*place = hash
	return nil, again
}

// add keeps a cache, unless another caller has kept it meanwhile, and lets others go until there is room.
func (m *memory) add(key string, c *cache, bytes int64) {
	bytes += int64(len(key))
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.entries[key] != nil {
		return
	}
	for m.counts.Bytes+bytes > m.most {
		m.drop(m.order.Back())
	}
	m.entries[key] = m.order.PushFront(&entry{key, c, bytes})
	m.counts.Bytes += bytes
}

func (m *memory) drop(e *list.Element) {
	dropped := m.order.Remove(e).(*entry)
	delete(m.entries, dropped.key)
	m.counts.Bytes -= dropped.bytes
}
