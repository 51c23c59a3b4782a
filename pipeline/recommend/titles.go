package recommend

import (
	"cmp"
	"math/bits"
	"slices"
	"sort"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// titles is an index of the words of titles, whatever their case and accents. It knows an item by its rank, its place among
// the popular ones: a search makes sets of ranks, and reads them from the most popular on until it has enough.
type titles struct {
	popular []int32  // the item of each rank
	plain   []string // the titles' words with a space between, sorted; of equals the more popular first
	titled  []int32  // of each of plain the rank
	words   []string // all there are, sorted
	begins  []int32  // of each word, where its ranks begin in having; one more at the end
	having  []int32  // ranks of titles that have a word, those of one word after the other
}

func indexTitles(items *catalogue) *titles {
	t := &titles{popular: items.popular, titled: make([]int32, items.size())}
	of, plain := map[string][]int32{}, make([]string, items.size())
	for i, item := range items.popular {
		rank, words := int32(i), wordsOf(items.titles[item])
		t.titled[rank], plain[rank] = rank, strings.Join(words, " ")
		for _, word := range words {
			if known := of[word]; len(known) == 0 || known[len(known)-1] != rank {
				of[word] = append(known, rank)
			}
		}
	}
	slices.SortStableFunc(t.titled, func(a, b int32) int { return cmp.Compare(plain[a], plain[b]) })
	for _, rank := range t.titled {
		t.plain = append(t.plain, plain[rank])
	}
	for word := range of {
		t.words = append(t.words, word)
	}
	slices.Sort(t.words)
	for _, word := range t.words {
		t.begins, t.having = append(t.begins, int32(len(t.having))), append(t.having, of[word]...)
	}
	t.begins = append(t.begins, int32(len(t.having)))
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

// search finds the first limit of the best kinds.
func (t *titles) search(words []string, limit int) []int32 {
	if len(words) == 0 { // nothing is asked for: all are alike
		return t.popular[:min(limit, len(t.popular))]
	}
	same, begun := within(t.plain, strings.Join(words, " "))
	part, whole := t.match(words)
	found, seen := []int32{}, t.none()
	for _, kind := range []set{t.none().with(t.titled[same.from:same.to]), t.none().with(t.titled[begun.from:begun.to]), whole, part} {
		for i, ranks := range kind {
			for ranks &^= seen[i]; ranks != 0 && len(found) < limit; ranks &= ranks - 1 {
				found = append(found, t.popular[64*i+bits.TrailingZeros64(ranks)])
			}
			seen[i] |= kind[i]
		}
	}
	return found
}

// match are the titles that have, for each word, a word that begins with it, and those that have all words whole.
func (t *titles) match(words []string) (part, whole set) {
	for i, word := range slices.Compact(slices.Sorted(slices.Values(words))) {
		same, begun := within(t.words, word)
		one, all := t.none().with(t.ranksOf(same)), t.none().with(t.ranksOf(begun))
		if i == 0 {
			part, whole = all, one
			continue
		}
		part.keep(all)
		whole.keep(one)
	}
	return part, whole
}

// ranksOf are those of the titles that have a word of a stretch of words, some more than once.
func (t *titles) ranksOf(words stretch) []int32 {
	return t.having[t.begins[words.from]:t.begins[words.to]]
}

// stretch is a part of a list.
type stretch struct{ from, to int }

// within finds, in a sorted list, the texts that are one and those that begin with it.
func within(sorted []string, text string) (same, begun stretch) {
	from, _ := slices.BinarySearch(sorted, text)
	rest := sorted[from:]
	notSame := sort.Search(len(rest), func(i int) bool { return rest[i] != text })
	notBegun := sort.Search(len(rest), func(i int) bool { return !strings.HasPrefix(rest[i], text) })
	return stretch{from, from + notSame}, stretch{from, from + notBegun}
}

// set is a set of ranks, a bit each.
type set []uint64

func (t *titles) none() set { return make(set, (len(t.popular)+63)/64) }

func (s set) with(ranks []int32) set {
	for _, rank := range ranks {
		s[rank/64] |= 1 << (rank % 64)
	}
	return s
}

// keep keeps what is in another set too.
func (s set) keep(other set) {
	for i := range s {
		s[i] &= other[i]
	}
}
