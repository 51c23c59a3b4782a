package prepare

import (
	"bytes"
	"hash/maphash"
	"slices"
)

// dictionary numbers texts densely from 0 in order of arrival. It holds no pointers but three, so that the garbage
// collector does not look at millions of strings: a text costs its length and about 25 bytes.
type dictionary struct {
	seed  maphash.Seed
	text  []byte   // all texts, one after the other
	ends  []uint64 // where each text ends
	slots []slot   // open addressing
	// hashes and sink are for addAll.
	hashes []uint32
	sink   uint64
}

// slot is free where next is 0. The hash stands beside the number, so that most probes touch one cache line.
type slot struct{ hash, next uint32 } // next is the number of the text, plus 1

func newDictionary() *dictionary {
	return &dictionary{seed: maphash.MakeSeed(), slots: make([]slot, 1024)}
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

// addAll writes the numbers of texts to numbers, giving new ones to new texts. In a big dictionary every look-up waits
// for memory three times; the first two loops make the processor wait for many at once.
func (d *dictionary) addAll(texts [][]byte, numbers []uint32) {
	d.hashes = d.hashes[:0]
	mask := uint32(len(d.slots) - 1)
	for _, text := range texts {
		hash := d.hash(text)
		d.hashes = append(d.hashes, hash)
		d.sink += uint64(d.slots[hash&mask].next)
	}
	for _, hash := range d.hashes {
		if n := d.slots[hash&mask].next; n > 1 {
			if start := d.ends[n-2]; start < uint64(len(d.text)) {
				d.sink += uint64(d.text[start])
			}
		}
	}
	for i, text := range texts {
		numbers[i] = d.add(text, d.hashes[i])
	}
}

func (d *dictionary) hash(text []byte) uint32 { return uint32(maphash.Bytes(d.seed, text)) }

// add returns the number of a text, giving it one if it is new.
func (d *dictionary) add(text []byte, hash uint32) uint32 {
	at, ok := d.find(text, hash)
	if ok {
		return d.slots[at].next - 1
	}
	d.text = grow(d.text, text...)
	d.ends = grow(d.ends, uint64(len(d.text)))
	n := uint32(len(d.ends))
	d.slots[at] = slot{hash, n}
	if len(d.ends)*4 > len(d.slots)*3 {
		d.rehash()
	}
	return n - 1
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
	at, ok := d.find(text, d.hash(text))
	return d.slots[at].next - 1, ok
}

// find returns the slot of a text, or the free one where it belongs.
func (d *dictionary) find(text []byte, hash uint32) (at uint32, ok bool) {
	mask := uint32(len(d.slots) - 1)
	for at = hash & mask; ; at = (at + 1) & mask {
		switch s := d.slots[at]; {
		case s.next == 0:
			return at, false
		case s.hash == hash && bytes.Equal(d.at(s.next-1), text):
			return at, true
		}
	}
}

func (d *dictionary) rehash() {
	slots := make([]slot, 2*len(d.slots))
	mask := uint32(len(slots) - 1)
	for _, s := range d.slots {
		if s.next == 0 {
			continue
		}
		at := s.hash & mask
		for slots[at].next != 0 {
			at = (at + 1) & mask
		}
		slots[at] = s
	}
	d.slots = slots
}

// freeze drops what only adding and looking up need.
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
