package recommend

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"mllm4rec/pipeline/rank"
)

// judge scores as one would who knows what each candidate is worth: log probabilities in each group.
func judge(worth []float32, played *[][][]int) func([][]int) ([][]float32, error) {
	return func(groups [][]int) ([][]float32, error) {
		*played = append(*played, groups)
		scores := make([][]float32, len(groups))
		for i, group := range groups {
			logits := make([]float32, len(group))
			for j, at := range group {
				logits[j] = worth[at]
			}
			for _, p := range rank.LogSoftmax(logits) {
				scores[i] = append(scores[i], float32(p))
			}
		}
		return scores, nil
	}
}

func TestTournament(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(2, 20).Draw(t, "most")
		worth := rapid.SliceOfN(rapid.Map(rapid.IntRange(-50, 50), func(n int) float32 { return float32(n) / 10 }), 1, 200).Draw(t, "worth")
		var played [][][]int
		order, rounds, err := tournament(len(worth), most, judge(worth, &played))
		if err != nil {
			t.Fatal(err)
		}
		groups := 0
		for _, round := range played {
			groups += len(round)
			for _, group := range round {
				if len(group) > most || len(group) < len(round[0])-1 {
					t.Fatalf("a group of %d where %d are looked at and the first has %d", len(group), most, len(round[0]))
				}
			}
		}
		if limit := float64(2*len(worth)+rounds)/float64(most-1) + float64(rounds); rounds != len(played) || float64(groups) > limit {
			t.Fatalf("%d groups in %d rounds for %d candidates, want up to %v", groups, rounds, len(worth), limit)
		}
		var seen []int
		for i, p := range order {
			seen = append(seen, p.at)
			if i > 0 && (p.round > order[i-1].round || p.round == order[i-1].round && p.score > order[i-1].score) {
				t.Fatalf("place %d: %+v behind %+v", i, p, order[i-1])
			}
		}
		if slices.Sort(seen); !slices.Equal(seen, played[0][0]) && len(seen) != len(worth) || slices.Compact(seen)[0] != 0 || len(slices.Compact(seen)) != len(worth) {
			t.Fatalf("places for %v", seen)
		}
		if worth[order[0].at] != slices.Max(worth) {
			t.Fatalf("%v won, the best is %v", worth[order[0].at], slices.Max(worth))
		}
		checkProbabilities(t, order, worth, rounds)
	})
}

func checkProbabilities(t *rapid.T, order []placed, worth []float32, rounds int) {
	probabilities, sum := probabilities(order), 0.0
	for i, p := range probabilities {
		sum += float64(p)
		if i > 0 && p > probabilities[i-1] {
			t.Fatalf("place %d has %v behind %v", i, p, probabilities[i-1])
		}
	}
	if math.Abs(sum-1) > 1e-4 {
		t.Fatalf("probabilities add up to %v", sum)
	}
	whole := rank.LogSoftmax(worth)
	for i, p := range probabilities {
		if rounds == 1 && math.Abs(float64(p)-math.Exp(whole[order[i].at])) > 1e-5 {
			t.Fatalf("place %d of one round has %v, want %v", i, p, math.Exp(whole[order[i].at]))
		}
		if got, want := order[i].mass, math.Exp(whole[order[i].at]); rounds > 1 && math.Abs(math.Log(got/order[0].mass)-math.Log(want/math.Exp(whole[order[0].at]))) > 1e-2 {
			t.Fatalf("a judge who is always of one mind gives %v to %v, and the masses say %v", want, i, got)
		}
	}
}
