package report

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-analyze/charts"
	"pgregory.net/rapid"

	"mllm4rec/data/table"
)

func TestHistogramCountsEveryNumberOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		numbers := rapid.SliceOfN(rapid.IntRange(0, 1<<18), 1, 200).Draw(t, "numbers")
		h := newHistogram()
		for _, n := range numbers {
			h.add(n)
		}
		slices.Sort(numbers)
		bins := h.bins()
		var total int64
		for i, b := range bins {
			total += b.Count
			if i > 0 && b.From != bins[i-1].To+1 {
				t.Fatalf("bins %v and %v do not meet", bins[i-1], b)
			}
			inside := func(n int) bool { return n >= b.From && n <= b.To }
			if want := countIf(numbers, inside); b.Count != want {
				t.Fatalf("bin %+v, want %d", b, want)
			}
		}
		if total != int64(len(numbers)) || bins[0].Count == 0 || bins[len(bins)-1].Count == 0 {
			t.Fatalf("bins %v of %d numbers", bins, len(numbers))
		}
		if want := numbers[(len(numbers)-1)/2]; h.median() != want {
			t.Fatalf("median %d, want %d", h.median(), want)
		}
		if got, want := h.topShare(), topShareOf(numbers); math.Abs(got-want) > 1e-12 {
			t.Fatalf("top share %v, want %v", got, want)
		}
	})
}

func countIf(numbers []int, inside func(int) bool) (count int64) {
	for _, n := range numbers {
		if inside(n) {
			count++
		}
	}
	return count
}

// topShareOf sums the largest tenth of sorted numbers, rounded up.
func topShareOf(numbers []int) float64 {
	top, sum := 0, 0
	for i, n := range numbers {
		sum += n
		if i >= len(numbers)-(len(numbers)+9)/10 {
			top += n
		}
	}
	return float64(top) / math.Max(1, float64(sum))
}

func TestBinsAreTwoADoubling(t *testing.T) {
	t.Parallel()
	h := newHistogram()
	for n := 1; n <= 30; n++ {
		h.add(n)
	}
	var from []int
	for _, b := range h.bins() {
		from = append(from, b.From)
	}
	if want := []int{1, 2, 3, 4, 6, 8, 12, 16, 24}; !slices.Equal(from, want) {
		t.Errorf("bins start at %v, want %v", from, want)
	}
}

func TestStepAxisEndsRoundAndNear(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		last := rapid.Int64Range(1, maxLogValue).Draw(t, "last")
		end, ticks := stepAxis([]series{{Points: []point{{last, 1}}}})
		if end < last || ticks < 1 || ticks > 8 || end%int64(ticks) != 0 {
			t.Fatalf("last step %d: axis to %d in %d parts", last, end, ticks)
		}
		if last > 8 && float64(end) > 1.5*float64(last) {
			t.Fatalf("last step %d: axis to %d wastes a third of the chart", last, end)
		}
	})
}

func TestValueAxisHoldsItsValues(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(-maxLogValue, maxLogValue), 1, 20).Draw(t, "values")
		axis := valueAxis(values)
		margin := 1e-6 * (*axis.Max - *axis.Min)
		if *axis.Min-margin > slices.Min(values) || *axis.Max+margin < slices.Max(values) || axis.LabelCount < 2 || axis.LabelCount > 7 {
			t.Fatalf("axis from %v to %v with %d labels", *axis.Min, *axis.Max, axis.LabelCount)
		}
	})
}

func TestResampleAveragesAndConnects(t *testing.T) {
	t.Parallel()
	null := charts.GetNullValue()
	got := resample([]point{{20, 1}, {21, 3}, {60, 4}}, 100, 10)
	want := []float64{null, null, 2, 2.5, 3, 3.5, 4, null, null, null, null}
	if !slices.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

func TestTrainLog(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, log string
		steps     []int64
		err       string
	}{
		{"losses and validations", `{"step":1,"loss":3}` + "\n" + `{"step":1,"val":{"recall@10":0.1}}` + "\n", []int64{1, 1}, ""},
		{"a resumed run counts for the steps it trained again", `{"step":1,"loss":3}` + "\n" + `{"step":2,"loss":2}` + "\n" + `{"step":3,"loss":9}` + "\n" + `{"step":2,"loss":2}` + "\n", []int64{1, 2, 2}, ""},
		{"a kill cuts the last line", `{"step":1,"loss":3}` + "\n" + `{"step":2,"lo`, []int64{1}, ""},
		{"a bad line", `{"step":1,"loss":3}` + "\n" + `loss 3` + "\n", nil, "train_log.jsonl: line 2: "},
		{"a negative step", `{"step":-1,"loss":3}` + "\n", nil, "train_log.jsonl: line 1: step -1"},
		{"a loss that cannot be drawn", `{"step":1,"loss":1e300}` + "\n", nil, "train_log.jsonl: line 1: loss 1e+300"},
		{"a line without end", strings.Repeat("x", maxLogLine+1), nil, "train_log.jsonl: "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, trainLogFile), []byte(test.log), 0o600); err != nil {
				t.Fatal(err)
			}
			lines, err := readTrainLog(dir, trainLogFile)
			if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Fatalf("error %v, want %q", err, test.err)
			}
			var steps []int64
			for _, l := range lines {
				steps = append(steps, l.Step)
			}
			if err == nil && !slices.Equal(steps, test.steps) {
				t.Errorf("steps %v, want %v", steps, test.steps)
			}
		})
	}
}

func FuzzTrainLog(f *testing.F) {
	f.Add([]byte(`{"step":1,"loss":3,"lr":0.001,"seconds":1.5}` + "\n" + `{"step":500,"val":{"recall@10":0.1,"ndcg@10":0.05}}` + "\n"))
	f.Add([]byte(`{"step":0,"loss":0}` + "\n" + `{"step":0,"val":{"":0}}` + "\n"))
	f.Fuzz(func(t *testing.T, log []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, trainLogFile), log, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := loadTraining(dir, trainLogFile, ""); err != nil && !strings.Contains(err.Error(), trainLogFile) {
			t.Errorf("error %v does not name the file", err)
		}
	})
}

func TestSampleUserShowsLatestHistoryAndRank(t *testing.T) {
	t.Parallel()
	row := table.Sequence{UserID: 7, Train: make([]int32, 30), Val: 2, Test: 3}
	titles := map[int32]string{0: "old", 2: "val", 3: "label", 4: "other"}
	list := table.Candidates{UserID: 7, Split: "test", Label: 3, Items: []int32{4, 3}, Scores: []float32{2, -1}}
	user, err := newSampleUser(row, list, titles)
	if err != nil {
		t.Fatal(err)
	}
	if user.History[0] != "val" || len(user.History) != 20 || user.Earlier != 11 {
		t.Errorf("history %v and %d earlier, want the validation item first, 20 and 11", user.History, user.Earlier)
	}
	if user.Rank != 2 || user.Candidates[0].Label || !user.Candidates[1].Label {
		t.Errorf("rank %d of %+v, want the second", user.Rank, user.Candidates)
	}
	list.Items = []int32{4, 2}
	if user, _ = newSampleUser(row, list, titles); user.Rank != 0 {
		t.Errorf("rank %d, want none", user.Rank)
	}
}

func TestChooseRowsTakesAllWhereThereAreFew(t *testing.T) {
	t.Parallel()
	for total, want := range map[int64]int{0: 0, 5: 5, 20: 20, 1000: 20} {
		if got := len(chooseRows(1, 20, total)); got != want {
			t.Errorf("%d rows of %d, want %d", got, total, want)
		}
	}
}

func TestTextForPeople(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, got, want string }{
		{"short time", seconds(900 * time.Millisecond), "0.9 s"},
		{"seconds", seconds(12700 * time.Millisecond), "12 s"},
		{"minutes", seconds(200 * time.Second), "3 min 20 s"},
		{"hours", seconds(125 * time.Minute), "2 h 5 min"},
		{"thousands", comma(1234567), "1,234,567"},
		{"share", share(0.12345), "0.1235"},
		{"negative score", score(-1.5), "−1.50"},
		{"percent", percent(0.4925), "49.2%"},
		{"metric", metricLabel("ndcg@10"), "NDCG@10"},
		{"line breaks in a title", shorten(" a\n b\t"), "a b"},
		{"invalid UTF-8 in a title", shorten("a\xff"), "a\uFFFD"},
		{"long title", shorten(strings.Repeat("ä", 200)), strings.Repeat("ä", maxTitleRunes-1) + "…"},
	}
	for _, test := range tests {
		if test.got != test.want {
			t.Errorf("%s: %q, want %q", test.name, test.got, test.want)
		}
	}
}
