package tokenizer

import "unicode/utf8"

// bpe encodes words: a word is cut into the smallest symbols, and as long as two neighbours may be merged, those of the
// lowest rank are (the leftmost of equal ones). Sennrich et al., arXiv 1508.07909.
type bpe struct {
	// ofByte is the token of each byte, -1 where there is none: the symbols of a byte-level vocabulary, the fall-back
	// for characters that a SentencePiece vocabulary has not.
	ofByte [256]int32
	// chars are the characters that are tokens; nil in a byte-level vocabulary.
	chars map[rune]int32
	// merges is what may be merged.
	merges map[pair]merge
	// whole words are taken as they are, without merging (ignore_merges: Llama 3); nil otherwise.
	whole map[string]int32
	// unknown stands for what has no token, -1: nothing does, it is left out; joinUnknown: one for a row of such.
	unknown     int32
	joinUnknown bool
}

type pair struct{ left, right int32 }

type merge struct{ rank, id int32 }

// encode appends the tokens of a word to ids.
func (b *bpe) encode(ids []int32, word string) []int32 {
	if id, ok := b.whole[word]; ok {
		return append(ids, id)
	}
	begin := len(ids)
	ids = b.symbols(ids, word)
	return ids[:begin+len(b.mergeAll(ids[begin:]))]
}

// symbols appends the symbols of a word to ids.
func (b *bpe) symbols(ids []int32, word string) []int32 {
	if b.chars == nil {
		for i := range len(word) {
			id := b.ofByte[word[i]]
			if id >= 0 || i == 0 || !b.joinUnknown || b.ofByte[word[i-1]] >= 0 {
				ids = b.symbol(ids, id)
			}
		}
		return ids
	}
	unknown := false
	for len(word) > 0 {
		c, n := firstRune(word)
		id, ok := b.chars[c]
		switch {
		case ok && (c != utf8.RuneError || n > 1):
			ids, unknown = append(ids, id), false
		case b.hasBytes(word[:n]):
			for i := range n {
				ids = append(ids, b.ofByte[word[i]])
			}
			unknown = false
		case !unknown || !b.joinUnknown:
			ids, unknown = b.symbol(ids, -1), true
		}
		word = word[n:]
	}
	return ids
}

func (b *bpe) symbol(ids []int32, id int32) []int32 {
	if id < 0 {
		id = b.unknown
	}
	if id < 0 {
		return ids
	}
	return append(ids, id)
}

func (b *bpe) hasBytes(char string) bool {
	for i := range len(char) {
		if b.ofByte[char[i]] < 0 {
			return false
		}
	}
	return true
}

// shortWord is up to how many symbols looking through all pairs for each merge is faster than a heap.
const shortWord = 24

// mergeAll merges in place and returns what is left.
func (b *bpe) mergeAll(ids []int32) []int32 {
	if len(ids) > shortWord {
		return b.mergeLong(ids)
	}
	var known [shortWord]merge // of ids[i] and ids[i+1]
	for i := 1; i < len(ids); i++ {
		known[i-1] = b.lookup(ids[i-1], ids[i])
	}
	for {
		at, best := -1, merge{rank: noMerge}
		for i := range len(ids) - 1 {
			if known[i].rank < best.rank {
				at, best = i, known[i]
			}
		}
		if at < 0 {
			return ids
		}
		ids[at] = best.id
		copy(ids[at+1:], ids[at+2:])
		copy(known[at:], known[at+1:len(ids)-1])
		ids = ids[:len(ids)-1]
		if at > 0 {
			known[at-1] = b.lookup(ids[at-1], ids[at])
		}
		if at+1 < len(ids) {
			known[at] = b.lookup(ids[at], ids[at+1])
		}
	}
}

// noMerge is the rank of a pair that may not be merged.
const noMerge = 1<<31 - 1

func (b *bpe) lookup(left, right int32) merge {
	if m, ok := b.merges[pair{left, right}]; ok {
		return m
	}
	return merge{rank: noMerge}
}
