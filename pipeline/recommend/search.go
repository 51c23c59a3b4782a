package recommend

import "mllm4rec/runtime/serve"

// What a search may be: bytes and words.
const (
	maxQuery = 1 << 10
	maxWords = 16
)

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
