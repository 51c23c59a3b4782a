package report

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mllm4rec/data/metric"
	"mllm4rec/data/table"
	"mllm4rec/pipeline/rank"
)

// addRanker makes a run one of two stages: the ranker turns every list of the test split around.
func addRanker(t *testing.T, dir string) (helped, hurt int) {
	t.Helper()
	candidates, err := table.ReadAll[table.Candidates](filepath.Join(dir, candidatesFile))
	if err != nil {
		t.Fatal(err)
	}
	var rankings []table.Ranking
	for _, c := range candidates {
		items := slices.Clone(c.Items)
		slices.Reverse(items)
		scores := make([]float32, len(items))
		for i := range scores {
			scores[i] = -float32(i)
		}
		rankings = append(rankings, table.Ranking{UserID: c.UserID, Split: c.Split, Label: c.Label, Items: items, Scores: scores})
		if place := metric.RankIn(c.Items, c.Label); c.Split == "test" && place != metric.Missing {
			if place > 10 {
				helped++
			} else {
				hurt++
			}
		}
	}
	writeTable(t, dir, rank.RankingsFile, rankings)
	metrics := append(makeMetrics(), metricsOf("ranker", "test", "all", .11)...)
	writeTable(t, dir, metricsFile, append(metrics, metricsOf("fusion", "test", "all", .125)...))
	fusion := `{"retriever_weight": 0.8, "fitted_on": 40, "val_ndcg10_ranker": 0.2, "val_ndcg10_retriever": 0.3, "val_ndcg10_fused": 0.31}`
	if err := os.WriteFile(filepath.Join(dir, rank.FusionFile), []byte(fusion), 0o600); err != nil {
		t.Fatal(err)
	}
	log := `{"step":0,"val":{"ndcg@10":0.31}}` + "\n" + `{"step":5,"loss":2.9,"lr":0.0001,"seconds":61}` + "\n" + `{"step":10,"val":{"ndcg@10":0.35}}` + "\n"
	if err := errors.Join(os.MkdirAll(filepath.Join(dir, "ranker"), 0o755), os.WriteFile(filepath.Join(dir, rankerLogFile), []byte(log), 0o600)); err != nil {
		t.Fatal(err)
	}
	return helped, hurt
}

func TestPageShowsWhatTheRankerDid(t *testing.T) {
	t.Parallel()
	dir := writeRun(t, runShape{users: 300, items: 200})
	helped, hurt := addRanker(t, dir)
	options := fullOptions()
	options.RankerTrained = true
	options.Prompt = func(user int32) (string, error) { return fmt.Sprintf("asked <b>for</b> %d", user), nil }
	page := writePage(t, dir, options)
	if *keep != "" {
		if err := os.WriteFile(*keep+".ranker.html", []byte(page), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{
		fmt.Sprintf("among the candidates of %d users. The ranker moved it up for %d of them and down for %d.", helped+hurt, helped, hurt),
		"best NDCG@10 0.3500 at step 10", "Where it hurt most", "→", "asked &lt;b&gt;for&lt;/b&gt;",
		"0.1250", "retriever 0.1200", "Retriever and ranker together on the test split",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if !strings.Contains(page, "Fusion takes 0.80 of the retriever&#39;s score and 0.20 of the ranker&#39;s, by the 40 validation lists") {
		t.Error("the page does not say how the scores are mixed")
	}
	alone := `{"retriever_weight": 1, "fitted_on": 40, "val_ndcg10_ranker": 0.2, "val_ndcg10_retriever": 0.3, "val_ndcg10_fused": 0.3}`
	if err := os.WriteFile(filepath.Join(dir, rank.FusionFile), []byte(alone), 0o600); err != nil {
		t.Fatal(err)
	}
	if page := writePage(t, dir, options); !strings.Contains(page, "Fusion leaves the ranker out: no mixture of the two was clearly better on the 40 validation lists") {
		t.Error("the page does not say that the ranker is left out")
	}
	if n := strings.Count(page, "<svg "); n != 7 {
		t.Errorf("%d charts, want 7", n)
	}
}

func TestADamagedLogIsCalledByItsName(t *testing.T) {
	t.Parallel()
	dir := writeRun(t, runShape{users: 30, items: 50})
	addRanker(t, dir)
	if err := os.WriteFile(filepath.Join(dir, rankerLogFile), []byte("no JSON\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	options := fullOptions()
	options.RankerTrained = true
	if err := Write(t.Context(), dir, options); err == nil || !strings.Contains(err.Error(), "report: ranker/train_log.jsonl: line 1: ") {
		t.Error(err)
	}
}

// TestRankerOfAnEarlierRecipeIsNotShown leaves the files of a ranker that the recipe has no more, among candidates that are others.
func TestRankerOfAnEarlierRecipeIsNotShown(t *testing.T) {
	t.Parallel()
	dir := writeRun(t, runShape{users: 30, items: 50})
	addRanker(t, dir)
	if page := writePage(t, dir, fullOptions()); !strings.Contains(page, "<h2>The ranker</h2>") || strings.Contains(page, "at step 10") {
		t.Error("the run's ranker was not trained: its lists are shown, and no training of an earlier one")
	}
	if err := os.Remove(filepath.Join(dir, rank.RankingsFile)); err != nil {
		t.Fatal(err)
	}
	if page := writePage(t, dir, fullOptions()); !strings.Contains(page, "lists (rankings.parquet) are not in this run folder") {
		t.Error("nobody says that the lists are gone")
	}
	writeTable(t, dir, metricsFile, makeMetrics())
	writeTable(t, dir, rank.RankingsFile, []table.Ranking{{UserID: 1, Split: "test", Items: []int32{7}, Scores: []float32{1}}})
	if page := writePage(t, dir, fullOptions()); strings.Contains(page, "<h2>The ranker</h2>") {
		t.Error("there is a ranker that was not measured")
	}
}

func TestRankingsOfAnotherRunAreRefused(t *testing.T) {
	t.Parallel()
	dir := writeRun(t, runShape{users: 30, items: 50})
	addRanker(t, dir)
	writeTable(t, dir, rank.RankingsFile, []table.Ranking{{UserID: 1, Split: "test", Items: []int32{7}, Scores: []float32{1}}})
	if err := Write(t.Context(), dir, fullOptions()); err == nil || !strings.Contains(err.Error(), "its items are not its candidates") {
		t.Error(err)
	}
}
