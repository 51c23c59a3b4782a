package rank_test

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mllm4rec/internal/atomicfile"
	"mllm4rec/pipeline/rank"
)

// lists draws users whose answer both models know a little of, each in its own way.
func lists(seed uint64, n int, retriever, ranker float64) []rank.List {
	r := rand.New(rand.NewPCG(seed, 1))
	out := make([]rank.List, n)
	for i := range out {
		l := rank.List{Label: int32(1 + r.IntN(25))} // of 20: some lists lack it
		for item := range int32(20) {
			l.Items = append(l.Items, item+1)
			hit := 0.0
			if item+1 == l.Label {
				hit = 1
			}
			l.Retriever = append(l.Retriever, float32(r.NormFloat64()+retriever*hit))
			l.Ranker = append(l.Ranker, float32(50+7*(r.NormFloat64()+ranker*hit)))
		}
		out[i] = l
	}
	return out
}

func ndcg(ls []rank.List, order func(rank.List) ([]int32, []float32)) float64 {
	sum, n := 0.0, 0
	for _, l := range ls {
		if !slices.Contains(l.Items, l.Label) {
			continue
		}
		n++
		items, _ := order(l)
		if at := slices.Index(items, l.Label); at < 10 {
			sum += 1 / math.Log2(float64(at)+2)
		}
	}
	return sum / float64(n)
}

func TestFusionNeverLosesToTheBetterModelWhereItWasFitted(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 2))
		ls := lists(seed, 5+r.IntN(60), 2*r.Float64(), 2*r.Float64())
		f := rank.Fit(ls)
		fused, ranker, retriever := ndcg(ls, f.Order), ndcg(ls, rank.List.ByRanker), ndcg(ls, rank.Fusion{RetrieverWeight: 1}.Order)
		if fused < max(ranker, retriever)-1e-12 {
			t.Errorf("seed %d: %.4f with weight %v, ranker %.4f, retriever %.4f", seed, fused, f.RetrieverWeight, ranker, retriever)
		}
		for _, c := range [][2]float64{{f.Fused, fused}, {f.Ranker, ranker}, {f.Retriever, retriever}} {
			if math.Abs(c[0]-c[1]) > 1e-12 {
				t.Errorf("seed %d: it says %v, and it is %v", seed, c[0], c[1])
			}
		}
	}
}

func TestFusionOfTwoUnlikeModelsBeatsBothOnOtherUsers(t *testing.T) {
	t.Parallel()
	f := rank.Fit(lists(1, 2_000, 1.2, 1.2))
	others := lists(2, 2_000, 1.2, 1.2)
	fused, ranker, retriever := ndcg(others, f.Order), ndcg(others, rank.List.ByRanker), ndcg(others, rank.Fusion{RetrieverWeight: 1}.Order)
	if fused < 1.1*max(ranker, retriever) { // two independent hints of one size: clearly better together
		t.Errorf("fused %.4f, ranker %.4f, retriever %.4f", fused, ranker, retriever)
	}
}

// TestAModelThatKnowsNothingHardlyCosts fits many mixtures with a ranker that guesses: taking whatever is best where it was fitted would
// cost more on other users.
func TestAModelThatKnowsNothingHardlyCosts(t *testing.T) {
	t.Parallel()
	lost, left := 0.0, 0
	const fits = 40
	for seed := range uint64(fits) {
		f := rank.Fit(lists(seed, 300, 1.2, 0))
		if f.RetrieverWeight == 1 {
			left++
		}
		others := lists(1000+seed, 1_000, 1.2, 0)
		lost += ndcg(others, rank.Fusion{RetrieverWeight: 1}.Order) - ndcg(others, f.Order)
	}
	t.Logf("%d of %d leave it out, %.5f lost on average", left, fits, lost/fits)
	if left < fits/2 || lost/fits > 0.001 {
		t.Errorf("%d of %d leave it out, %.5f lost on average", left, fits, lost/fits)
	}
}

func TestFitWithoutARetrievableAnswerIsEven(t *testing.T) {
	t.Parallel()
	ls := lists(3, 10, 0, 0)
	for i := range ls {
		ls[i].Label = 99
	}
	if f := rank.Fit(ls); f.RetrieverWeight != 0.5 || f.FittedOn != 0 {
		t.Errorf("%+v", f)
	}
}

func TestEqualScoresKeepTheRetrieversOrder(t *testing.T) {
	t.Parallel()
	l := rank.List{Items: []int32{9, 4, 7}, Retriever: []float32{3, 2, 1}, Ranker: []float32{5, 5, 6}}
	if items, scores := l.ByRanker(); !slices.Equal(items, []int32{7, 9, 4}) || !slices.Equal(scores, []float32{6, 5, 5}) {
		t.Errorf("%v %v", items, scores)
	}
}

func TestReadFusionRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"no JSON":                    {"weight", "invalid character"},
		"a weight above one":         {`{"retriever_weight": 1.5}`, "retriever_weight is 1.5"},
		"no weight":                  {`{"fitted_on": 3}`, "no retriever_weight"},
		"something huge":             {strings.Repeat(" ", 1<<17), "131072 bytes"},
		"a weight that is no number": {`{"retriever_weight": "x"}`, "retriever_weight"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "fusion.json")
			if err := atomicfile.WriteFile(path, []byte(c.text)); err != nil {
				t.Fatal(err)
			}
			if _, err := rank.ReadFusion(path); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	if _, err := rank.ReadFusion(filepath.Join(t.TempDir(), "none.json")); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Error(err)
	}
}
