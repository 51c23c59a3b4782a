package report

import (
	"context"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"mllm4rec/data/table"
	"mllm4rec/internal/fail"
)

// keep writes the page of the made-up run to a file, to be looked at in a browser.
var keep = flag.String("keep", "", "write the page of the made-up run to this file")

func fullOptions() Options {
	return Options{
		Title: "ml-100k", Seed: 42, Date: time.Date(2024, 5, 6, 7, 8, 0, 0, time.UTC), Machine: "2 cores, 24 GiB", Version: "1.2.3",
		Stages: []Stage{
			{"prepare", 3 * time.Second}, {"train", 200 * time.Second}, {"export", 900 * time.Millisecond},
			{"candidates", 2 * time.Second}, {"evaluate", 4 * time.Second},
		},
		Published: []Published{
			{Model: "LRURec", Metric: "recall", K: 10, Value: .1426, Source: "LlamaRec, arXiv 2311.02089"},
			{Model: "LRURec", Metric: "ndcg", K: 10, Value: .0705, Source: "LlamaRec, arXiv 2311.02089"},
			{Model: "SASRec <i>", Metric: "recall", K: 7, Value: .13, Source: "another & paper"},
		},
	}
}

func writePage(t *testing.T, dir string, options Options) string {
	t.Helper()
	if err := Write(context.Background(), dir, options); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(dir, FileName))
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

func TestPageShowsTheWholeRun(t *testing.T) {
	t.Parallel()
	page := writePage(t, writeRun(t, runShape{users: 943, items: 1349}), fullOptions())
	if *keep != "" {
		if err := os.WriteFile(*keep, []byte(page), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{
		"ml-100k", "42", "6 May 2024, 07:08 UTC", "2 cores, 24 GiB", "1.2.3",
		"0.1200", "popularity 0.0450", "standard error of 0.0106",
		"0.1426", "LlamaRec, arXiv 2311.02089", "another &amp; paper", "Test, answer among the candidates", "SASRec &lt;i&gt;", "@7",
		"<dd>943</dd>", "<dd>1,349</dd>", "Length of a history", "Popularity of an item",
		"<dt>Rows read</dt><dd>100,000</dd>", "<dt>Rejected: rating</dt><dd>12</dd>", "<dt>Outside the k-core</dt><dd>345</dd>",
		"6,400 steps in 2 min 14 s", "best Recall@10 0.1294 at step 6,000",
		"3 min 20 s", "20 users drawn by the seed", "(no title, item 3)", `class="hit"`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if strings.Contains(page, `class="missing"`) {
		t.Error("the page says that something is missing")
	}
	if n := strings.Count(page, "<svg "); n != 5 {
		t.Errorf("%d charts, want 5", n)
	}
}

func TestModelsStandBeforeBaselines(t *testing.T) {
	t.Parallel()
	page := writePage(t, writeRun(t, runShape{users: 30, items: 50}), fullOptions())
	at := func(name string) int { return strings.Index(page, `<th scope="row"><bdi>`+name+`</bdi>`) }
	order := []string{"retriever", "popularity", "random", "LRURec"}
	if !slices.IsSortedFunc(order, func(a, b string) int { return at(a) - at(b) }) {
		t.Errorf("the models do not stand in the order %v", order)
	}
}

// TestPageIsOneHarmlessFile holds for a shop whose titles are scripts.
func TestPageIsOneHarmlessFile(t *testing.T) {
	t.Parallel()
	options := fullOptions()
	options.Title, options.Machine = nastyTitle, nastyTitle
	page := writePage(t, writeRun(t, runShape{users: 100, items: 60}), options)

	if !strings.Contains(page, "&lt;script&gt;alert(") {
		t.Error("the title is not there at all")
	}
	for _, bad := range []string{"<script", "<b>", "<link", "<img", "<iframe", "src=", "href=", "@import", "url(", "javascript:", "<!--"} {
		if strings.Contains(strings.ToLower(page), bad) {
			t.Errorf("the page contains %q", bad)
		}
	}
	if strings.Count(page, "</style>") != 1 {
		t.Error("a title ends the style sheet")
	}
	if !strings.Contains(page, `content="default-src 'none'; style-src 'unsafe-inline'; img-src data:"`) {
		t.Error("no Content-Security-Policy")
	}
	if addresses := regexp.MustCompile(`https?://[^"]*`).FindAllString(page, -1); len(addresses) > 0 {
		for _, a := range addresses {
			if !strings.HasPrefix(a, "http://www.w3.org/") { // names of XML namespaces
				t.Errorf("the page names %s", a)
			}
		}
	}
}

func TestTagsAreBalanced(t *testing.T) {
	t.Parallel()
	page := writePage(t, writeRun(t, runShape{users: 30, items: 50}), fullOptions())
	decoder := xml.NewDecoder(strings.NewReader(strings.Replace(page, "<!DOCTYPE html>", "", 1)))
	decoder.Strict, decoder.AutoClose, decoder.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	depth := 0
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token.(type) {
		case xml.StartElement:
			depth++
		case xml.EndElement:
			depth--
		}
	}
	if depth != 0 {
		t.Errorf("%d elements are left open", depth)
	}
}

func TestSamePageForTheSameSeed(t *testing.T) {
	t.Parallel()
	dir := writeRun(t, runShape{users: 200, items: 60})
	options := fullOptions()
	first := writePage(t, dir, options)
	if writePage(t, dir, options) != first {
		t.Error("two pages of the same run differ")
	}
	options.Seed = 43
	users := regexp.MustCompile(`User \d+`)
	if other := writePage(t, dir, options); strings.Join(users.FindAllString(other, -1), " ") == strings.Join(users.FindAllString(first, -1), " ") {
		t.Error("another seed shows the same users")
	}
}

func TestMissingPiecesLeaveASentence(t *testing.T) {
	t.Parallel()
	tests := []struct{ file, sentence string }{
		{itemsFile, "The prepared items (items.parquet) are not in this run folder."},
		{sequencesFile, "The users&#39; sequences (sequences.parquet) are not in this run folder."},
		{candidatesFile, "There are no candidates (candidates.parquet) in this run folder."},
		{metricsFile, "The run has not been evaluated: metrics.parquet is not in this run folder."},
		{prepareFile, "What preparation dropped (prepare.json) is not in this run folder."},
		{trainLogFile, "There is no training log (train_log.jsonl) in this run folder."},
	}
	for _, test := range tests {
		t.Run(test.file, func(t *testing.T) {
			t.Parallel()
			dir := writeRun(t, runShape{users: 30, items: 50})
			if err := os.Remove(filepath.Join(dir, test.file)); err != nil {
				t.Fatal(err)
			}
			if page := writePage(t, dir, fullOptions()); !strings.Contains(page, test.sentence) {
				t.Errorf("the page does not say %q", test.sentence)
			}
		})
	}
	t.Run("everything", func(t *testing.T) {
		t.Parallel()
		page := writePage(t, t.TempDir(), Options{})
		if n := strings.Count(page, `class="missing"`); n != 6 {
			t.Errorf("%d sentences, want 6: metrics, data set, preparation, training, times, samples", n)
		}
	})
}

func TestDamagedFilesAreErrorsThatNameThem(t *testing.T) {
	t.Parallel()
	for _, file := range []string{itemsFile, sequencesFile, candidatesFile, metricsFile, prepareFile, trainLogFile} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			dir := writeRun(t, runShape{users: 30, items: 50})
			if err := os.WriteFile(filepath.Join(dir, file), []byte("no such thing\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			err := Write(context.Background(), dir, Options{})
			if err == nil || !strings.Contains(err.Error(), file) {
				t.Errorf("error %v, want one that names %s", err, file)
			}
			if _, err := os.Stat(filepath.Join(dir, FileName)); err == nil {
				t.Error("a page was written")
			}
		})
	}
}

func TestImpossibleRowsAreErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		damage func(t *testing.T, dir string)
		want   string
	}{
		{"item beyond the catalogue", func(t *testing.T, dir string) {
			writeTable(t, dir, sequencesFile, []table.Sequence{{UserID: 1, Train: []int32{1}, Val: 2, Test: 51}})
		}, "sequences.parquet: row 1: item 51, but items.parquet numbers 1 to 50"},
		{"metric above 1", func(t *testing.T, dir string) {
			writeTable(t, dir, metricsFile, []table.Metric{{Model: "retriever", Split: "test", Metric: "recall", K: 5, Value: 1.5}})
		}, "metrics.parquet: row 1: recall@5 of retriever is 1.5"},
		{"scores that do not fit", func(t *testing.T, dir string) {
			writeTable(t, dir, sequencesFile, []table.Sequence{{UserID: 1, Train: []int32{1}, Val: 2, Test: 3}})
			writeTable(t, dir, candidatesFile, []table.Candidates{{UserID: 1, Split: "test", Label: 3, Items: []int32{3}}})
		}, "candidates.parquet: user 1, test: 1 items but 0 scores"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := writeRun(t, runShape{users: 30, items: 50})
			test.damage(t, dir)
			if err := Write(context.Background(), dir, Options{}); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

func TestFolderThatIsNotThereIsTheCallersMistake(t *testing.T) {
	t.Parallel()
	err := Write(context.Background(), filepath.Join(t.TempDir(), "none"), Options{})
	if !fail.IsUsage(err) {
		t.Errorf("error %v, want a usage error", err)
	}
}

func TestEndedContextStopsTheReport(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	dir := writeRun(t, runShape{users: 30, items: 50})
	if err := Write(ctx, dir, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}
