package recommend

import (
	"slices"

	"mllm4rec/runtime/retrieve"
	"mllm4rec/runtime/serve"
)

// query is a request, looked up in the tables.
type query struct {
	user    int32 // 0 for a history of nobody
	history []int32
	given   int // items of the history, unknown ones too
	unknown []serve.Ref
	filter
}

// read looks up what Recommend and Retrieve are asked.
func (b *Backend) read(user *serve.Ref, history *[]serve.Ref, exclude []serve.Ref, categories []string) (q query, err error) {
	switch {
	case user == nil && history == nil:
		return q, malformed("user_id", "give user_id, or a history (an empty one for somebody new)")
	case user != nil && history != nil:
		return q, malformed("history", "give user_id or history, not both")
	case user != nil:
		if q.user = b.people.find(*user); q.user == 0 {
			return q, missing(unknownUser, "user_id", "there is no user %s; somebody new is a history", spell(*user))
		}
		q.history = b.people.history[q.user]
		q.given = len(q.history)
	default:
		if err := q.setHistory(b.items, *history); err != nil {
			return q, err
		}
	}
	if err := tooMany("exclude", len(exclude), maxHistory); err != nil {
		return q, err
	}
	excluded, unknown := b.items.resolve(exclude)
	q.unknown = append(q.unknown, unknown...)
	q.filter, err = b.items.filter(excluded, categories)
	return q, err
}

func (q *query) setHistory(items *catalogue, history []serve.Ref) error {
	if err := tooMany("history", len(history), maxHistory); err != nil {
		return err
	}
	q.history, q.unknown = items.resolve(history)
	q.given = len(history)
	return nil
}

// resolve looks references up, in their order, and gives those that name no item.
func (c *catalogue) resolve(refs []serve.Ref) (items []int32, unknown []serve.Ref) {
	for _, r := range refs {
		if item := c.find(r); item != 0 {
			items = append(items, item)
		} else {
			unknown = append(unknown, r)
		}
	}
	return items, unknown
}

// filter says which items may be answered with.
type filter struct {
	categoriesOf [][]int32
	excluded     map[int32]bool
	categories   map[int32]bool // nil: all
}

func (c *catalogue) filter(excluded []int32, categories []string) (filter, error) {
	f := filter{categoriesOf: c.categoriesOf, excluded: map[int32]bool{}}
	for _, item := range excluded {
		f.excluded[item] = true
	}
	for i, name := range categories {
		place, err := c.category(i, name)
		if err != nil {
			return f, err
		}
		if f.categories == nil {
			f.categories = map[int32]bool{}
		}
		f.categories[place] = true
	}
	return f, nil
}

func (f filter) allows(item int32) bool {
	if f.excluded[item] {
		return false
	}
	return f.categories == nil || slices.ContainsFunc(f.categoriesOf[item], func(place int32) bool { return f.categories[place] })
}

// best are the first n that are allowed.
func (f filter) best(all retrieve.Ranked, n int) (kept retrieve.Ranked) {
	for i, item := range all.Items {
		if len(kept.Items) < n && f.allows(item) {
			kept.Items, kept.Scores = append(kept.Items, item), append(kept.Scores, all.Scores[i])
		}
	}
	return kept
}

// size is how many items are wanted.
func (b *Backend) size(k, otherwise int) (int, error) {
	switch {
	case k == 0:
		return otherwise, nil
	case k < 0 || k > b.maxK():
		return 0, refused(outOfRange, "k", "%d items; give 1 to %d", k, b.maxK())
	}
	return k, nil
}
