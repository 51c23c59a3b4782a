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
	name                  string
	retriever, popularity tally
	retrieved             metric.Mean // of the retriever, over the users whose answer is a candidate
	random                *chance
}

// tally is the score of one model that gives lists.
type tally struct {
	mean metric.Mean
	seen map[int]*metric.Seen // by k
}

// coverageCutoffs are the ks at which coverage is reported.
func coverageCutoffs() []int { return []int{10, 20} }

func newBoard(items, candidateItems int, p *popularity) *board {
	return &board{candidates: candidateItems, popularity: p, val: newSplit(candidates.Val, items), test: newSplit(candidates.Test, items)}
}

func newSplit(name string, items int) split {
	return split{name: name, retriever: newTally(items), popularity: newTally(items), random: newChance(items)}
}

func newTally(items int) tally {
	t := tally{seen: map[int]*metric.Seen{}}
	for _, k := range coverageCutoffs() {
		t.seen[k] = metric.NewSeen(items)
	}
	return t
}

// add counts the users of rows, whose lists Propose gave: val and test of each.
func (b *board) add(rows []table.Sequence, proposed []table.Candidates) {
	for i, c := range proposed {
		s := &b.val
		if c.Split == candidates.Test {
			s = &b.test
		}
		history := candidates.History(rows[i/2], c.Split)
		rank := s.retriever.add(c.Items, c.Label)
		if rank != metric.Missing && rank <= b.candidates {
			s.retrieved.Add(rank)
		}
		s.popularity.add(b.popularity.topK(history, longest()), c.Label)
		s.random.add(history, c.Label)
	}
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

// rows are those of the table of metrics: val before test, the retriever before the baselines.
func (b *board) rows() []table.Metric {
	return slices.Concat(b.val.rows(), b.test.rows())
}

func (s *split) rows() []table.Metric {
	return slices.Concat(
		s.label(Retriever, All, s.retriever.values()),
		s.label(Popularity, All, s.popularity.values()),
		s.label(Random, All, s.random.values()),
		s.label(Retriever, Retrieved, s.retrieved.Values()),
	)
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
