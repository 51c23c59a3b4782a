package recommend

import (
	"cmp"
	"math"
	"slices"
)

// placed is a candidate with the place that a tournament gave it.
type placed struct {
	at    int     // in the list that was given
	score float32 // log probability in its last group
	round int     // its last one
	mass  float64 // before it is spread: see masses
}

// tournament orders n candidates by a judge that looks at up to most of them at a time.
//
// More than most play in rounds: they are dealt out like cards to as few groups as will do, and the better half of each
// goes on, until one group is left, which stands at the top in the order of its scores. Below stand those that left, by
// the round that they left in, later ones first, and in it by their score in their group. Equals keep the order given.
// n candidates take about 2·n/most groups: 200, 20 at a time, take 21.
func tournament(n, most int, judge func(groups [][]int) ([][]float32, error)) (order []placed, rounds int, err error) {
	field := make([]int, n)
	for i := range field {
		field[i] = i
	}
	var played [][][]placed // by round and group
	for {
		groups := deal(field, most)
		scores, err := judge(groups)
		if err != nil {
			return nil, 0, err
		}
		sorted := sortGroups(groups, scores, rounds)
		played = append(played, sorted)
		rounds++
		if len(groups) == 1 {
			break
		}
		field = winners(sorted)
	}
	masses(played)
	order = played[rounds-1][0]
	for round := rounds - 2; round >= 0; round-- {
		var left []placed
		for _, group := range played[round] {
			left = append(left, group[half(group):]...)
		}
		slices.SortFunc(left, better)
		order = append(order, left...)
	}
	return order, rounds, nil
}

// deal gives every one to the next group in turn.
func deal(field []int, most int) [][]int {
	groups := make([][]int, max(1, (len(field)+most-1)/most))
	for i, at := range field {
		groups[i%len(groups)] = append(groups[i%len(groups)], at)
	}
	return groups
}

func sortGroups(groups [][]int, scores [][]float32, round int) [][]placed {
	sorted := make([][]placed, len(groups))
	for g, group := range groups {
		for i, at := range group {
			sorted[g] = append(sorted[g], placed{at: at, score: scores[g][i], round: round})
		}
		slices.SortFunc(sorted[g], better)
	}
	return sorted
}

func better(a, b placed) int {
	return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.at, b.at))
}

// half is how many of a group go on.
func half(group []placed) int { return (len(group) + 1) / 2 }

// winners are those that go on, in the order that they were given in.
func winners(groups [][]placed) (field []int) {
	for _, group := range groups {
		for _, p := range group[:half(group)] {
			field = append(field, p.at)
		}
	}
	slices.Sort(field)
	return field
}

// masses spreads the probabilities of the last group over all: who left a group is to those who went on from it as its
// probability was to theirs.
func masses(played [][][]placed) {
	mass := map[int]float64{}
	for round := len(played) - 1; round >= 0; round-- {
		for _, group := range played[round] {
			on := half(group)
			if len(played[round]) == 1 {
				on = 0
			}
			each := 1.0 // mass of a unit of probability in this group
			if on > 0 {
				sum, probability := 0.0, 0.0
				for _, p := range group[:on] {
					sum, probability = sum+mass[p.at], probability+math.Exp(float64(p.score))
				}
				each = sum / probability
			}
			for i := range group {
				if i >= on {
					mass[group[i].at] = each * math.Exp(float64(group[i].score))
				}
				group[i].mass = mass[group[i].at]
			}
		}
	}
}

// probabilities are the masses of an order as probabilities over all, none above the one before it.
func probabilities(order []placed) []float32 {
	values, sum := make([]float64, len(order)), 0.0
	for i, p := range order {
		values[i] = p.mass
		if i > 0 {
			values[i] = min(values[i], values[i-1])
		}
		sum += values[i]
	}
	out := make([]float32, len(order))
	for i, v := range values {
		out[i] = float32(v / sum)
	}
	return out
}
