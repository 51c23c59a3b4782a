package recommend

import (
	"cmp"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"mllm4rec/runtime/serve"
)

// titles finds items by the words of their titles, whatever their case and accents.
type titles struct {
	items  *catalogue
	plain  []string  // by item_id: the words, with a space between
	sorted []int32   // the items in the order of plain
	words  []string  // all there are, sorted
	having [][]int32 // of each word the items
}

// maxWords bounds the words of a search: each is a bit.
const maxWords = 16

func indexTitles(items *catalogue) *titles {
	t := &titles{items: items, plain: make([]string, items.size()+1)}
	of := map[string][]int32{}
	for id := int32(1); int(id) <= items.size(); id++ {
		words := wordsOf(items.titles[id])
		t.plain[id] = strings.Join(words, " ")
		for _, word := range words {
			if known := of[word]; len(known) == 0 || known[len(known)-1] != id {
				of[word] = append(known, id)
			}
		}
	}
	t.sorted = slices.Clone(items.popular)
	slices.SortFunc(t.sorted, func(a, b int32) int { return cmp.Compare(t.plain[a], t.plain[b]) })
	for word := range of {
		t.words = append(t.words, word)
	}
	slices.Sort(t.words)
	for _, word := range t.words {
		t.having = append(t.having, of[word])
	}
	return t
}

// wordsOf are the runs of letters and digits, in small letters without accents. An apostrophe parts no word.
func wordsOf(text string) []string {
	var b strings.Builder
	for _, c := range norm.NFKD.String(text) {
		switch {
		case unicode.Is(unicode.Mn, c) || c == '\'' || c == '’':
		case unicode.IsLetter(c) || unicode.IsDigit(c):
			b.WriteRune(unicode.ToLower(c))
		default:
			b.WriteByte(' ')
		}
	}
	return strings.Fields(b.String())
}

// Search finds items that have, for each word of the query, a word that begins with it. Titles that are the query come
// first, then those that begin with it, those that have all its words whole, and the others; of equals the more popular
// one comes first. A query without words finds what is popular.
func (b *Backend) Search(query string, limit int) ([]serve.Item, error) {
	if limit < 1 || limit > b.maxK() {
		return nil, refused(outOfRange, "limit", "%d items; give 1 to %d", limit, b.maxK())
	}
	if len(query) > maxQuery {
		return nil, refused(outOfRange, "q", "%d bytes; %d are read at most", len(query), maxQuery)
	}
	words := wordsOf(query)
	if err := tooMany("q", len(words), maxWords); err != nil {
		return nil, err
	}
	found := []serve.Item{}
	for _, item := range b.titles.search(words, limit) {
		found = append(found, b.items.item(item))
	}
	return found, nil
}

// maxQuery bounds a search in bytes.
const maxQuery = 1 << 10

// The kinds of a match, best first.
const (
	isTitle = iota
	beginsTitle
	wholeWords
	partWords
	kinds
)

// search goes through the items from the most popular on: the first limit of the best kind are found.
func (t *titles) search(words []string, limit int) []int32 {
	kind := t.match(words)
	var found [kinds][]int32
	for _, item := range t.items.popular {
		if k := kind[item]; k < kinds && len(found[k]) < limit {
			found[k] = append(found[k], item)
			if k == 0 && len(found[k]) == limit {
				break
			}
		}
	}
	best := slices.Concat(found[:]...)
	return best[:min(limit, len(best))]
}

// match gives the kind of each item's match, kinds where it has none.
func (t *titles) match(words []string) (kind []uint8) {
	kind = make([]uint8, len(t.plain))
	if len(words) == 0 { // nothing is asked for: all are alike
		return kind
	}
	begun, whole := t.matchWords(words)
	all := uint16(1)<<len(words) - 1
	for item := range kind {
		switch {
		case begun[item] != all:
			kind[item] = kinds
		case whole[item] == all:
			kind[item] = wholeWords
		default:
			kind[item] = partWords
		}
	}
	text := strings.Join(words, " ")
	at, _ := slices.BinarySearchFunc(t.sorted, text, func(item int32, text string) int { return cmp.Compare(t.plain[item], text) })
	for ; at < len(t.sorted) && strings.HasPrefix(t.plain[t.sorted[at]], text); at++ {
		kind[t.sorted[at]] = beginsTitle
		if len(t.plain[t.sorted[at]]) == len(text) {
			kind[t.sorted[at]] = isTitle
		}
	}
	return kind
}

// matchWords marks, by item, which words a word of its title begins with, and which it has whole.
func (t *titles) matchWords(words []string) (begun, whole []uint16) {
	begun, whole = make([]uint16, len(t.plain)), make([]uint16, len(t.plain))
	for i, word := range words {
		at, _ := slices.BinarySearch(t.words, word)
		for ; at < len(t.words) && strings.HasPrefix(t.words[at], word); at++ {
			for _, item := range t.having[at] {
				begun[item] |= 1 << i
			}
			if len(t.words[at]) > len(word) {
				continue
			}
			for _, item := range t.having[at] {
				whole[item] |= 1 << i
			}
		}
	}
	return begun, whole
}
