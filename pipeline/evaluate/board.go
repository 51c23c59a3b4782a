package evaluate

import (
	"slices"

	"mllm4rec/data/metric"
	"mllm4rec/data/table"
	candidates "mllm4rec/pipeline/retrieve"
)

// board keeps the score of every model on both splits.
type board struct {
	candidates int
	popularity *popularity
	val, test  split
}

// split is the score of one split.
type split struct {
	name       string
	trained    []trained // the retriever, and what orders its candidates anew
	popularity tally
	random     *chance
}

// trained is the score of one trained model.
type trained struct {
	name      string
	tally     tally
	retrieved metric.Mean // over the users whose answer is a candidate
}

// tally is the score of one model that gives lists.
type tally struct {
	mean metric.Mean
	seen map[int]*metric.Seen // by k
}

// coverageCutoffs are the ks at which coverage is reported.
func coverageCutoffs() []int { return []int{10, 20} }

// newBoard is for the named models, of which the first is the retriever.
func newBoard(items, candidateItems int, p *popularity, models []string) *board {
	return &board{
		candidates: candidateItems, popularity: p,
		val: newSplit(candidates.Val, items, models), test: newSplit(candidates.Test, items, models),
	}
}

func newSplit(name string, items int, models []string) split {
	s := split{name: name, popularity: newTally(items), random: newChance(items)}
	for _, model := range models {
		s.trained = append(s.trained, trained{name: model, tally: newTally(items)})
	}
	return s
}

func newTally(items int) tally {
	t := tally{seen: map[int]*metric.Seen{}}
	for _, k := range coverageCutoffs() {
		t.seen[k] = metric.NewSeen(items)
	}
	return t
}

// add counts one user's lists, one a trained model and all of the same items. Which users are among the retrieved is the
// retriever's doing alone.
func (b *board) add(history []int32, splitName string, label int32, lists [][]int32) {
	s := &b.val
	if splitName == candidates.Test {
		s = &b.test
	}
	place := metric.RankIn(lists[0], label)
	for i, list := range lists {
		rank := s.trained[i].tally.add(list, label)
		if place != metric.Missing && place <= b.candidates {
			s.trained[i].retrieved.Add(rank)
		}
	}
	s.popularity.add(b.popularity.topK(history, longest()), label)
	s.random.add(history, label)
}

// add counts one list and returns the label's rank in it.
func (t *tally) add(list []int32, label int32) int {
	rank := metric.RankIn(list, label)
	t.mean.Add(rank)
	for k, seen := range t.seen {
		seen.Add(list[:min(k, len(list))])
	}
	return rank
}

// rows are those of the table of metrics: val before test, trained models before the baselines.
func (b *board) rows() []table.Metric {
	return slices.Concat(b.val.rows(), b.test.rows())
}

func (s *split) rows() (rows []table.Metric) {
	for i := range s.trained {
		rows = append(rows, s.label(s.trained[i].name, All, s.trained[i].tally.values())...)
	}
	rows = append(rows, s.label(Popularity, All, s.popularity.values())...)
	rows = append(rows, s.label(Random, All, s.random.values())...)
	for i := range s.trained {
		rows = append(rows, s.label(s.trained[i].name, Retrieved, s.trained[i].retrieved.Values())...)
	}
	return rows
}

func (s *split) label(model, subset string, values []metric.Value) []table.Metric {
	rows := make([]table.Metric, len(values))
	for i, v := range values {
		rows[i] = table.Metric{Model: model, Split: s.name, Subset: subset, Metric: v.Metric, K: int32(v.K), Value: v.Value}
	}
	return rows
}

func (t *tally) values() []metric.Value {
	values := t.mean.Values()
	for _, k := range coverageCutoffs() {
		values = append(values, metric.Value{Metric: metric.Coverage, K: k, Value: t.seen[k].Share()})
	}
	return values
}
