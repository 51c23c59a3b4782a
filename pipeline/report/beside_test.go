package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mllm4rec/data/table"
	"mllm4rec/pipeline/rank"
)

// writeRanked gives a made-up run lists of a ranker whose test answers stand at the places, by user.
func writeRanked(t *testing.T, dir string, level float64, places ...int) {
	t.Helper()
	rows := append(makeMetrics(), metricsOf("ranker", "test", "all", level)...)
	rows = append(rows, metricsOf("ranker", "test", "retrieved", 3*level)...)
	if err := table.WriteAll(filepath.Join(dir, metricsFile), rows); err != nil {
		t.Fatal(err)
	}
	var lists []table.Ranking
	for i, place := range places {
		user, label := int32(i+1), int32(7)
		items := make([]int32, 20)
		for at := range items {
			items[at] = int32(100 + at)
		}
		if place > 0 {
			items[place-1] = label
		}
		lists = append(lists, table.Ranking{UserID: user, Split: "val", Label: label, Items: []int32{label}, Scores: []float32{0}})
		lists = append(lists, table.Ranking{UserID: user, Split: "test", Label: label, Items: items, Scores: make([]float32, 20)})
	}
	if err := table.WriteAll(filepath.Join(dir, rank.RankingsFile), lists); err != nil {
		t.Fatal(err)
	}
}

func TestRunsStandSideBySide(t *testing.T) {
	t.Parallel()
	shape := runShape{users: 30, items: 60}
	here, there := writeRun(t, shape), writeRun(t, shape)
	writeRanked(t, here, .15, 1, 1, 3, 0, 1)
	writeRanked(t, there, .14, 1, 3, 3, 0, 11)
	s, err := loadBeside(t.Context(), here, readMetrics(t, here), Options{Beside: []Beside{{Dir: there, Differs: []string{"ranker.captions: caption <here>"}}}})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Groups) != 4 || s.Groups[1].Name != "ranker, Test" || s.Groups[3].Name != "ranker, Test, answer among the candidates" {
		t.Fatalf("%+v", s.Groups)
	}
	if rows := s.Groups[1].Rows; len(rows) != 2 || rows[0].Cells[0] != "0.1500" || rows[1].Cells[0] != "0.1400" || !rows[0].Ours || rows[1].Ours {
		t.Errorf("%+v", rows)
	}
	want := "NDCG@10 of the ranker over the 5 test users that both ranked, this run less that one: +0.3000, with a standard error of 0.2000, which may be chance."
	if notes := s.Runs[0].Notes; len(notes) != 1 || notes[0] != want {
		t.Errorf("%q", notes)
	}
	if err := os.Remove(filepath.Join(there, rank.RankingsFile)); err != nil {
		t.Fatal(err)
	}
	if s, err = loadBeside(t.Context(), here, readMetrics(t, here), Options{Beside: []Beside{{Dir: there}}}); err != nil || !strings.Contains(s.Runs[0].Notes[0], "are not in both") {
		t.Errorf("lists that somebody removed: %+v, %v", s.Runs, err)
	}
	writeRanked(t, there, .14, 1, 3, 3, 0, 11)
	writeTable(t, there, metricsFile, makeMetrics()) // its ranker is gone, the lists are left
	s, err = loadBeside(t.Context(), here, readMetrics(t, here), Options{Beside: []Beside{{Dir: there}}})
	if err != nil || len(s.Runs[0].Notes) != 0 {
		t.Errorf("%+v, %v", s.Runs, err)
	}
}

func readMetrics(t *testing.T, dir string) []table.Metric {
	t.Helper()
	rows, err := table.ReadAll[table.Metric](filepath.Join(dir, metricsFile))
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestPageShowsTheRunBeside(t *testing.T) {
	t.Parallel()
	shape := runShape{users: 30, items: 60}
	here, there := writeRun(t, shape), writeRun(t, shape)
	options := fullOptions()
	options.Beside = []Beside{{Dir: there, Differs: []string{"ranker.captions: <b> here"}}}
	page := writePage(t, here, options)
	for _, want := range []string{"<h2>Beside other runs</h2>", "ranker.captions: &lt;b&gt; here", there} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if err := os.Remove(filepath.Join(there, metricsFile)); err != nil {
		t.Fatal(err)
	}
	if err := Write(t.Context(), here, options); err == nil || !strings.Contains(err.Error(), there) {
		t.Errorf("a run beside that is gone: %v", err)
	}
}

func TestRunsOfOtherDataAreNotCompared(t *testing.T) {
	t.Parallel()
	here, there := writeRun(t, runShape{users: 30, items: 60}), writeRun(t, runShape{users: 31, items: 60})
	writeRanked(t, here, .15, 1, 2)
	writeRanked(t, there, .15, 1, 2)
	notes, err := besideNotes(t.Context(), here, there, []string{rankerModel})
	if err != nil || len(notes) != 1 || !strings.Contains(notes[0], "cannot be compared") {
		t.Errorf("%q, %v", notes, err)
	}
}

func TestPairedDifferences(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name         string
		here, there  []int
		users        int
		sum, squares float64
	}{
		{"equal", []int{1, 2}, []int{1, 2}, 2, 0, 0},
		{"better", []int{1, 1}, []int{3, 3}, 2, 1, 0.5},
		{"a user fewer", []int{1, 1, 1}, []int{3, 3}, 2, 1, 0.5},
		{"none", nil, []int{3}, 0, 0, 0},
	} {
		here, there := t.TempDir(), t.TempDir()
		writeRanked(t, here, .1, c.here...)
		writeRanked(t, there, .1, c.there...)
		d, err := pairedGain(t.Context(), filepath.Join(here, rank.RankingsFile), filepath.Join(there, rank.RankingsFile))
		if err != nil || d.users != c.users || d.sum != c.sum || d.squares != c.squares {
			t.Errorf("%s: %+v, %v", c.name, d, err)
		}
	}
}
