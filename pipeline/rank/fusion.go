package rank

import (
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"slices"

	"mllm4rec/data/metric"
	"mllm4rec/internal/atomicfile"
	"mllm4rec/internal/fail"
)

// List is one user's candidates as both models see them. All slices have the length of Items, and stand in its order.
type List struct {
	// Items are the candidates, in the retriever's order.
	Items []int32
	// Retriever holds the retriever's scores, Ranker the logits of the candidates' letters.
	Retriever, Ranker []float32
	// Label is the item that the user took next; it need not be among Items.
	Label int32
}

// Fusion mixes the two models. Each gives its scores as a log-softmax over the candidates, which puts both on the scale
// of log probabilities, whatever the scale of their logits.
type Fusion struct {
	// RetrieverWeight is the retriever's share of the mixture, from 0 (the ranker alone) to 1 (the retriever alone).
	RetrieverWeight float64 `json:"retriever_weight"`
	// FittedOn counts the validation lists that the weight was chosen on: those with the answer among the candidates.
	FittedOn int `json:"fitted_on"`
	// NDCG is the validation NDCG@10 over those lists of the ranker alone, the retriever alone, and the mixture.
	Ranker    float64 `json:"val_ndcg10_ranker"`
	Retriever float64 `json:"val_ndcg10_retriever"`
	Fused     float64 `json:"val_ndcg10_fused"`
}

// fusionSteps is how finely weights are tried: the ends are among them, so that on validation the mixture never loses to
// the better of the two models.
const fusionSteps = 50

// Fit chooses the weight with the best mean NDCG@10 over the lists that hold their label; of a run of equally good weights
// it takes the middle one. A mixture must beat the better of the two models by more than the standard error of what it
// gains a list: the best of many weights is a little above both by chance alone, and on other users such a gain is a loss.
// Otherwise the better model stands alone. Lists without their label tell nothing. Without any usable list the mixture is even.
func Fit(lists []List) Fusion {
	lists = retrieved(lists)
	if len(lists) == 0 {
		return Fusion{RetrieverWeight: 0.5}
	}
	gains, means := make([][]float64, fusionSteps+1), make([]float64, fusionSteps+1)
	for i := range gains {
		gains[i] = ndcgs(lists, Fusion{RetrieverWeight: float64(i) / fusionSteps})
		means[i] = meanOf(gains[i])
	}
	alone := 0
	if means[fusionSteps] >= means[0] {
		alone = fusionSteps
	}
	best := middleOfBest(means)
	if !clearlyAbove(gains[best], gains[alone]) {
		best = alone
	}
	return Fusion{
		RetrieverWeight: float64(best) / fusionSteps, FittedOn: len(lists),
		Ranker: means[0], Retriever: means[fusionSteps], Fused: means[best],
	}
}

// middleOfBest is the place of the largest value, the middle one where equals follow it.
func middleOfBest(values []float64) int {
	first := slices.Index(values, slices.Max(values))
	last := first
	for last+1 < len(values) && values[last+1] == values[first] {
		last++
	}
	return (first + last) / 2
}

// clearlyAbove tells whether the mean of a-b, list by list, is larger than its standard error.
func clearlyAbove(a, b []float64) bool {
	n, sum, squares := float64(len(a)), 0.0, 0.0
	for i := range a {
		d := a[i] - b[i]
		sum, squares = sum+d, squares+d*d
	}
	if n < 2 || sum <= 0 {
		return false
	}
	mean := sum / n
	return mean*mean > (squares/n-mean*mean)/(n-1)
}

// retrieved are the lists that hold their label.
func retrieved(lists []List) []List {
	var kept []List
	for _, l := range lists {
		if slices.Contains(l.Items, l.Label) {
			kept = append(kept, l)
		}
	}
	return kept
}

// ndcgs is the NDCG@10 of the mixture for each of lists that hold their label.
func ndcgs(lists []List, f Fusion) []float64 {
	out := make([]float64, len(lists))
	for i, l := range lists {
		items, _ := f.Order(l)
		if rank := metric.RankIn(items, l.Label); rank <= 10 {
			out[i] = metric.Discount(rank)
		}
	}
	return out
}

func meanOf(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// Order gives the candidates by the mixture, best first, with their mixed log probabilities; equals keep the retriever's
// order.
func (f Fusion) Order(l List) ([]int32, []float32) { return sorted(l.Items, f.Scores(l)) }

// Scores are the mixed log probabilities, in the order of the items.
func (f Fusion) Scores(l List) []float32 {
	ranker, retriever := LogSoftmax(l.Ranker), LogSoftmax(l.Retriever)
	scores := make([]float32, len(l.Items))
	for i := range scores {
		scores[i] = float32((1-f.RetrieverWeight)*ranker[i] + f.RetrieverWeight*retriever[i])
	}
	return scores
}

// ByRanker gives the candidates by the ranker's logits alone, best first; equals keep the retriever's order.
func (l List) ByRanker() ([]int32, []float32) { return sorted(l.Items, l.Ranker) }

// sorted orders items by falling score, stably.
func sorted(items []int32, scores []float32) ([]int32, []float32) {
	order := make([]int, len(items))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case scores[a] > scores[b]:
			return -1
		case scores[a] < scores[b]:
			return 1
		}
		return 0
	})
	outItems, outScores := make([]int32, len(order)), make([]float32, len(order))
	for i, at := range order {
		outItems[i], outScores[i] = items[at], scores[at]
	}
	return outItems, outScores
}

// LogSoftmax is log(exp(x)/Σ exp(x)), in float64.
func LogSoftmax(x []float32) []float64 {
	out := make([]float64, len(x))
	if len(x) == 0 {
		return out
	}
	top := float64(slices.Max(x))
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(float64(v) - top)
	}
	for i, v := range x {
		out[i] = float64(v) - top - math.Log(sum)
	}
	return out
}

// write stores the fusion beside the ranker.
func (f Fusion) write(path string) error {
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(path, append(text, '\n'))
}

// maxFusionBytes bounds fusion.json; ours has 200 bytes.
const maxFusionBytes = 1 << 16

// ReadFusion reads what the stage stored.
func ReadFusion(path string) (f Fusion, err error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, fail.Usagef("%s: no such file; `mllm4rec rank` writes it", path)
	}
	if err != nil {
		return f, err
	}
	if info.Size() > maxFusionBytes {
		return f, fail.Usagef("%s: %d bytes, this is no fusion", path, info.Size())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return f, err
	}
	f.RetrieverWeight = math.NaN() // else a file without it would be the ranker alone
	if err := json.Unmarshal(text, &f); err != nil {
		return f, fail.Usagef("%s: %w", path, err)
	}
	if math.IsNaN(f.RetrieverWeight) {
		return f, fail.Usagef("%s: it has no retriever_weight; `mllm4rec rank` writes the file anew", path)
	}
	if !(f.RetrieverWeight >= 0 && f.RetrieverWeight <= 1) {
		return f, fail.Usagef("%s: retriever_weight is %v, which is not from 0 to 1", path, f.RetrieverWeight)
	}
	return f, nil
}
