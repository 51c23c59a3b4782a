package prepare

import (
	"bytes"
	"hash/maphash"
	"slices"
)

// dictionary numbers texts densely from 0 in order of arrival. It holds no pointers but three, so that the garbage
// collector does not look at millions of strings: a text costs its length and about 16 bytes.
type dictionary struct {
	seed   maphash.Seed
	text   []byte   // all texts, one after the other
	ends   []uint64 // where each text ends
	slots  []uint32 // open addressing: number of a text + 1, 0 for free
	hashes []uint32 // of each text, to compare and to grow without hashing again
}

func newDictionary() *dictionary {
	return &dictionary{seed: maphash.MakeSeed(), slots: make([]uint32, 1024)}
}

// len is the number of texts.
func (d *dictionary) len() int { return len(d.ends) }

// at returns a text by number. It must not be changed.
func (d *dictionary) at(n uint32) []byte {
	start := uint64(0)
	if n > 0 {
		start = d.ends[n-1]
	}
	return d.text[start:d.ends[n]]
}

// add returns the number of a text, giving it one if it is new.
func (d *dictionary) add(text []byte) uint32 {
	hash := uint32(maphash.Bytes(d.seed, text))
	n, slot, ok := d.find(text, hash)
	if ok {
		return n
	}
	n = uint32(len(d.ends))
	d.text = grow(d.text, text...)
	d.ends = grow(d.ends, uint64(len(d.text)))
	d.hashes = grow(d.hashes, hash)
	d.slots[slot] = n + 1
	if len(d.ends)*4 > len(d.slots)*3 {
		d.rehash()
	}
	return n
}

// grow appends, growing big slices by a quarter instead of the half or double that memory would then have to hold.
func grow[E any](s []E, more ...E) []E {
	if need := len(s) + len(more); need > cap(s) {
		bigger := make([]E, len(s), need+need/4+64)
		copy(bigger, s)
		s = bigger
	}
	return append(s, more...)
}

// lookup returns the number of a text that is there.
func (d *dictionary) lookup(text []byte) (uint32, bool) {
	n, _, ok := d.find(text, uint32(maphash.Bytes(d.seed, text)))
	return n, ok
}

func (d *dictionary) find(text []byte, hash uint32) (n, slot uint32, ok bool) {
	mask := uint32(len(d.slots) - 1)
	for slot = hash & mask; ; slot = (slot + 1) & mask {
		entry := d.slots[slot]
		if entry == 0 {
			return 0, slot, false
		}
		if d.hashes[entry-1] == hash && bytes.Equal(d.at(entry-1), text) {
			return entry - 1, slot, true
		}
	}
}

func (d *dictionary) rehash() {
	slots := make([]uint32, 2*len(d.slots))
	mask := uint32(len(slots) - 1)
	for n, hash := range d.hashes {
		slot := hash & mask
		for slots[slot] != 0 {
			slot = (slot + 1) & mask
		}
		slots[slot] = uint32(n) + 1
	}
	d.slots = slots
}

// freeze drops what only add and lookup need.
func (d *dictionary) freeze() { d.slots, d.hashes = nil, nil }

// order returns the numbers for which keep is true, in ascending order of their texts: as numbers where all of those are
// whole numbers, else bytewise.
func (d *dictionary) order(keep func(n uint32) bool) []uint32 {
	var kept []uint32
	numeric := true
	for n := range uint32(d.len()) {
		if keep(n) {
			kept = append(kept, n)
			numeric = numeric && isWhole(d.at(n))
		}
	}
	compare := bytes.Compare
	if numeric {
		compare = compareWhole
	}
	slices.SortFunc(kept, func(a, b uint32) int { return compare(d.at(a), d.at(b)) })
	return kept
}

// isWhole reports whether text is a whole number in decimal digits, perhaps negative.
func isWhole(text []byte) bool {
	digits := bytes.TrimPrefix(text, []byte("-"))
	for _, c := range digits {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(digits) > 0
}

// compareWhole compares whole numbers of any length; equal ones, such as 7 and 07, bytewise.
func compareWhole(a, b []byte) int {
	negativeA, negativeB := a[0] == '-', b[0] == '-'
	switch {
	case negativeA && negativeB:
		a, b = b[1:], a[1:]
	case negativeA:
		return -1
	case negativeB:
		return 1
	}
	x, y := bytes.TrimLeft(a, "0"), bytes.TrimLeft(b, "0")
	if len(x) != len(y) {
		return len(x) - len(y)
	}
	if c := bytes.Compare(x, y); c != 0 {
		return c
	}
	return bytes.Compare(a, b)
}
