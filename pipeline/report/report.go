// Package report writes report.html, the page a person looks at after a run. The tables and logs of a run folder flow in;
// one HTML file flows out that holds everything it shows (styles, charts as SVG, small copies of some pictures) and loads
// nothing: no script, no font, no picture from elsewhere, which its Content-Security-Policy states too. Titles come from strangers and are escaped by
// html/template.
//
// Tables are streamed: memory grows with the number of items (4 bytes each), never with the number of users. A file that
// is not there leaves a sentence in its section; a file that is damaged is an error.
package report

import (
	"context"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"os"
	"path/filepath"
	"time"

	"mllm4rec/internal/atomicfile"
	"mllm4rec/internal/fail"
	"mllm4rec/pipeline/caption"
	"mllm4rec/pipeline/images"
)

// FileName is the name of the page in the run folder.
const FileName = "report.html"

// Options is what the run folder's tables do not tell. Zero values are left out of the page.
type Options struct {
	// Title heads the page: the run's name.
	Title string
	// Seed picks the sample users; it is shown as the run's seed.
	Seed int64
	// Date is when the run ended.
	Date time.Time
	// Machine is one line on what it ran on.
	Machine string
	// Version is the program's version.
	Version string
	// Stages are the run's stages in order, with the time each took.
	Stages []Stage
	// Published are figures from the literature (test split, full ranking), shown beside ours.
	Published []Published
	// SampleUsers is how many users are shown; 0 means 20.
	SampleUsers int
	// Note is what the run did without, in one line.
	Note string
	// Pictures and Captions say that images.parquet and captions.parquet in the folder are this run's.
	Pictures, Captions bool
	// RankerTrained says the same of the log of the language model's training.
	RankerTrained bool
	// Beside are runs whose metrics stand beside this one's.
	Beside []Beside
	// Prompt gives the text of the prompt that the language model read for a user of the test split; nil: no prompt is shown.
	Prompt func(user int32) (string, error)
}

// Stage is one stage of the run.
type Stage struct {
	Name     string
	Duration time.Duration
}

// Published is one figure from the literature, on the test split and the full catalogue. Metric is "recall", "mrr" or
// "ndcg".
type Published struct {
	Model  string
	Metric string
	K      int
	Value  float64
	Source string
}

const defaultSampleUsers = 20

// The names of what is read from the run folder.
const (
	itemsFile      = "items.parquet"
	sequencesFile  = "sequences.parquet"
	candidatesFile = "candidates.parquet"
	metricsFile    = "metrics.parquet"
	imagesFile     = images.TableFile
	captionsFile   = caption.TableFile
	prepareFile    = "prepare.json"
	trainLogFile   = "train_log.jsonl"
)

var (
	//go:embed report.gohtml
	pageSource string
	//go:embed style.css
	styleSource string
)

var pageTemplate = template.Must(template.New("report").Funcs(template.FuncMap{
	"comma": comma[int], "score": score, "seconds": seconds,
}).Parse(pageSource))

// Write reads the run folder and writes report.html into it. It returns an error if the folder is missing, a file in it
// is damaged, or ctx ends.
func Write(ctx context.Context, runDir string, options Options) error {
	info, err := os.Stat(runDir)
	if err != nil || !info.IsDir() {
		return fail.Usagef("report: %s is no run folder; name the folder that a run wrote", runDir)
	}
	page, err := load(ctx, runDir, options)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return atomicfile.Write(filepath.Join(runDir, FileName), func(w io.Writer) error {
		return pageTemplate.Execute(w, page)
	})
}
