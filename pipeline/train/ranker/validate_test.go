package ranker

import (
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mllm4rec/data/metric"
	"mllm4rec/data/prompt"
	"mllm4rec/data/table"
	"mllm4rec/internal/fail"
)

func usersOf(checks []check) []int32 {
	var ids []int32
	for _, c := range checks {
		ids = append(ids, c.user)
	}
	return ids
}

func TestValidationTakesUsersWhoseAnswerWasRetrieved(t *testing.T) {
	spec := tiny(t)
	if got := usersOf(open(t, spec).checks); !slices.Equal(got, []int32{4, 5, 6, 7, 8, 9, 10, 11, 12}) {
		t.Errorf("users %v", got)
	}
	spec.Candidates = 2 // answers at places 3 and 4 are out of reach
	if got := usersOf(open(t, spec).checks); !slices.Equal(got, []int32{4, 5, 8, 9, 12}) {
		t.Errorf("of two candidates: users %v", got)
	}
	spec = tiny(t)
	spec.ValidationUsers = 4
	some := usersOf(open(t, spec).checks)
	spec.Seed++
	others := usersOf(open(t, spec).checks)
	if len(some) != 4 || !slices.IsSorted(some) || slices.Equal(some, others) {
		t.Errorf("drawn by one seed %v, by another %v", some, others)
	}
}

func TestValidationListsCandidatesInTheOrderOfInference(t *testing.T) {
	spec := tiny(t)
	best := open(t, spec).checks
	spec.Order = "shuffled"
	moved := 0
	for i, c := range open(t, spec).checks {
		for at, from := range prompt.Shuffle(4, spec.Seed, c.user, 0) {
			if c.candidates[at] != best[i].candidates[from] {
				t.Errorf("user %d: shuffled %v, the retriever's order is %v", c.user, c.candidates, best[i].candidates)
			}
		}
		if c.candidates[c.label] != best[i].candidates[best[i].label] {
			t.Errorf("user %d: another answer", c.user)
		}
		if !slices.Equal(c.candidates, best[i].candidates) {
			moved++
		}
	}
	if moved < 5 {
		t.Errorf("%d of 9 lists are shuffled", moved)
	}
}

func TestValidationEqualsRankingOnePromptAfterTheOther(t *testing.T) {
	for _, loss := range []string{"verbalizer", "causal"} {
		spec := tiny(t)
		spec.Loss = loss
		made := open(t, spec)
		var mean metric.Mean
		for _, c := range made.checks {
			logits, err := made.model.Score(t.Context(), [][]int32{c.tokens})
			must(t, err)
			scores := made.prompts.scores(logits[0], 4)
			if loss == "causal" && (len(logits[0]) != 258 || scores[2] != logits[0]['C']) {
				t.Errorf("the score of C is %v among %d logits", scores[2], len(logits[0]))
			}
			mean.Add(metric.Rank(scores, c.label))
		}
		want := map[string]float64{}
		for _, v := range mean.Values() {
			want[fmt.Sprintf("%s@%d", v.Metric, v.K)] = v.Value
		}
		got, err := made.Validate(t.Context())
		must(t, err)
		for _, name := range slices.Sorted(maps.Keys(got)) {
			if math.Abs(got[name]-want[name]) > 1e-9 {
				t.Errorf("%s: %s is %v, want %v", loss, name, got[name], want[name])
			}
		}
		if len(got) != 3 || got[spec.Metric] == 0 {
			t.Errorf("%s: metrics %v", loss, got)
		}
	}
}

func TestNobodyToValidateIsAnError(t *testing.T) {
	spec := tiny(t)
	for name, c := range map[string]struct {
		rows []table.Candidates
		want string
	}{
		"no rows":          {nil, "no user has the right item among the first 4 candidates"},
		"not retrieved":    {[]table.Candidates{{UserID: 1, Split: "val", Label: 9, Items: []int32{1, 2, 3, 4, 9}, Scores: make([]float32, 5)}}, "raise candidates.k"},
		"other split":      {[]table.Candidates{{UserID: 1, Split: "test", Label: 1, Items: []int32{1}, Scores: make([]float32, 1)}}, "split val"},
		"unknown user":     {[]table.Candidates{{UserID: 77, Split: "val", Label: 1, Items: []int32{1}, Scores: make([]float32, 1)}}, "no user"},
		"out of catalogue": {[]table.Candidates{{UserID: 1, Split: "val", Label: 1, Items: []int32{1, 21}, Scores: make([]float32, 2)}}, "row 1: item 21 is not in the catalogue"},
	} {
		spec.Validation = filepath.Join(t.TempDir(), "candidates.parquet")
		must(t, table.WriteAll(spec.Validation, c.rows))
		if _, _, err := train(t, spec); !fail.IsUsage(err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// The loss is the mean over the learned tokens, as Hugging Face has it: each token's is computed here from the logits after
// the prompt that ends before it.
func TestLossIsTheMeanOverTheLearnedTokens(t *testing.T) {
	for _, loss := range []string{"verbalizer", "causal"} {
		spec := tiny(t)
		spec.Loss, spec.Dropout = loss, 0
		made := open(t, spec)
		samples, err := made.batch(3)
		must(t, err)
		want, count := 0.0, 0.0
		for _, s := range samples {
			for i, answer := range s.Answers {
				logits, err := made.model.Score(t.Context(), [][]int32{s.Tokens[:len(s.Tokens)-len(s.Answers)+1+i]})
				must(t, err)
				among := logits[0]
				if s.Choices > 0 {
					among = among[:s.Choices]
				}
				sum := 0.0
				for _, x := range among {
					sum += math.Exp(float64(x - among[answer]))
				}
				want, count = want+math.Log(sum), count+1
			}
		}
		got, norm, err := made.Step(t.Context(), 3)
		must(t, err)
		if math.Abs(got-want/count) > 1e-4 || norm == 0 {
			t.Errorf("%s: loss %v, want %v, norm %v", loss, got, want/count, norm)
		}
	}
}
