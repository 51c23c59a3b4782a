package report

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mllm4rec/data/metric"
	"mllm4rec/data/prepare"
	"mllm4rec/data/table"
)

// runShape is the size of a made-up run.
type runShape struct{ users, items int }

// nastyTitle is the title of item 1, which is in everyone's history and among everyone's candidates.
const nastyTitle = `<script>alert("1")</script> & <b>Bold</b> </style>`

// writeRun writes a run folder of all the files that a report reads, in the formats of the stages that write them.
func writeRun(t *testing.T, shape runShape) string {
	t.Helper()
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(1, 2))
	sequences := makeSequences(random, shape)
	writeTable(t, dir, itemsFile, makeItems(shape.items))
	writeTable(t, dir, sequencesFile, sequences)
	writeTable(t, dir, candidatesFile, makeCandidates(random, sequences, shape.items))
	writeTable(t, dir, metricsFile, makeMetrics())
	writePrepared(t, dir)
	writeTrainLog(t, dir)
	return dir
}

func writeTable[T any](t *testing.T, dir, name string, rows []T) {
	t.Helper()
	if err := table.WriteAll(filepath.Join(dir, name), rows); err != nil {
		t.Fatal(err)
	}
}

func makeItems(n int) []table.Item {
	first := []string{"The Silent", "A Distant", "Return of the", "Last", "My Cousin's", "The Unbearable", "Midnight"}
	second := []string{"Harbour", "Engineer", "Orchard", "Planet of the Cartographers", "Winter", "Train to Trieste", "Game"}
	items := make([]table.Item, n)
	for i := range items {
		title := fmt.Sprintf("%s %s (%d)", first[i%len(first)], second[i/7%len(second)], 1930+i%90)
		items[i] = table.Item{ItemID: int32(i + 1), SourceID: fmt.Sprint(i + 1), Title: title}
	}
	items[0].Title = nastyTitle
	items[1].Title = strings.Repeat("Very long title of a shop, now with more words, ", 10)
	items[2].Title = ""
	return items
}

func makeSequences(random *rand.Rand, shape runShape) []table.Sequence {
	rows := make([]table.Sequence, shape.users)
	for i := range rows {
		train := []int32{1, 2, 3}
		for range 2 + int(math.Exp(random.NormFloat64()+3.5)) {
			train = append(train, popularItem(random, shape.items))
		}
		rows[i] = table.Sequence{UserID: int32(i + 1), Train: train, Val: popularItem(random, shape.items), Test: popularItem(random, shape.items)}
	}
	return rows
}

// popularItem draws an item, low numbers more often.
func popularItem(random *rand.Rand, items int) int32 {
	u := random.Float64()
	return int32(u*u*u*float64(items)) + 1
}

func makeCandidates(random *rand.Rand, sequences []table.Sequence, items int) []table.Candidates {
	var rows []table.Candidates
	for _, s := range sequences {
		for _, split := range []string{"val", "test"} {
			row := table.Candidates{UserID: s.UserID, Split: split, Label: s.Test}
			for i, item := range random.Perm(items - 1)[:20] {
				row.Items = append(row.Items, int32(item+2))
				row.Scores = append(row.Scores, 8-float32(i)*0.71)
			}
			row.Items[0] = 1
			if s.UserID%3 == 0 {
				row.Items[6] = row.Label
			}
			rows = append(rows, row)
		}
	}
	return rows
}

// makeMetrics lists the baselines first, which the page puts last, and validation before test.
func makeMetrics() []table.Metric {
	var rows []table.Metric
	for _, split := range []string{"val", "test"} {
		rows = append(rows, metricsOf("popularity", split, "all", .045)...)
		rows = append(rows, metricsOf("random", split, "all", .003)...)
		rows = append(rows, metricsOf("retriever", split, "all", .12)...)
		rows = append(rows, metricsOf("retriever", split, "retrieved", .44)...)
	}
	return rows
}

func metricsOf(model, split, subset string, level float64) []table.Metric {
	var rows []table.Metric
	add := func(name string, k int, v float64) {
		rows = append(rows, table.Metric{Model: model, Split: split, Subset: subset, Metric: name, K: int32(k), Value: v})
	}
	for _, k := range metric.Cutoffs() {
		recall := level * math.Sqrt(float64(k)/10)
		add(metric.Recall, k, recall)
		add(metric.MRR, k, recall*.42)
		add(metric.NDCG, k, recall*.55)
		if subset == "all" && (k == 10 || k == 20) {
			add(metric.Coverage, k, level*math.Sqrt(float64(k)))
		}
	}
	return rows
}

func writePrepared(t *testing.T, dir string) {
	t.Helper()
	raw, err := json.Marshal(prepare.Stats{
		RawRows: 100_000, Rejected: map[string]int64{"timestamp": 3, "rating": 12}, DroppedByRating: 40, DroppedByKCore: 345,
		Interactions: 99_600, MissingTitles: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, prepareFile), raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

func writeTrainLog(t *testing.T, dir string) {
	t.Helper()
	var b strings.Builder
	random := rand.New(rand.NewPCG(3, 4))
	for step := 20; step <= 6400; step += 20 {
		x := float64(step)
		fmt.Fprintf(&b, `{"step":%d,"loss":%.4f,"lr":0.001,"seconds":%.1f}`+"\n", step, 5.6+1.7*math.Exp(-x/900)+.05*random.NormFloat64(), x*.021)
		if step%500 == 0 {
			recall := .13 * (1 - math.Exp(-x/1100))
			line, err := json.Marshal(map[string]any{"step": step, "val": map[string]float64{"recall@10": recall, "ndcg@10": recall * .54, "mrr@10": recall * .4}})
			if err != nil {
				t.Fatal(err)
			}
			b.Write(append(line, '\n'))
		}
	}
	if err := os.WriteFile(filepath.Join(dir, trainLogFile), []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}
