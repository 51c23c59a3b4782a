package run

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"mllm4rec/configs"
	"mllm4rec/data/table"
	"mllm4rec/pipeline/evaluate"
	"mllm4rec/pipeline/report"
	"mllm4rec/pipeline/stage"
)

// Summary is what a run ends with.
type Summary struct {
	// Dir is the run folder.
	Dir    string          `json:"run"`
	Stages []stage.Outcome `json:"stages"`
	// Metrics are the rows of metrics.parquet, where evaluate is among the stages.
	Metrics []table.Metric `json:"metrics,omitempty"`
	// Report is the path of report.html, where report is among the stages.
	Report string `json:"report,omitempty"`

	// Note tells what the run does without, in one line.
	Note string `json:"note,omitempty"`

	published []configs.Published
}

// sum sums up. Metrics and report are those of this run only, not what an earlier one left.
func (p *pipeline) sum(outcomes []stage.Outcome) (summary Summary, err error) {
	summary = Summary{Dir: p.dir, Stages: outcomes, Note: p.withoutCaptioner(), published: p.Config.Report.Published}
	for _, o := range outcomes {
		switch {
		case o.Status == stage.PassedOver:
		case o.Stage == Evaluate:
			summary.Metrics, err = table.ReadAll[table.Metric](p.path(evaluate.ParquetFile))
		case o.Stage == Report:
			summary.Report = p.path(report.FileName)
		}
	}
	return summary, err
}

// shown are the columns of the text table.
var shown = []struct {
	metric string
	k      int32
}{{"recall", 10}, {"ndcg", 10}, {"mrr", 10}, {"recall", 20}, {"ndcg", 20}}

// Text is the summary for people: time by stage, the table of metrics, the path of the report.
func (s Summary) Text() string {
	var text strings.Builder
	s.writeStages(&text)
	s.writeMetrics(&text)
	if s.Note != "" {
		_, _ = fmt.Fprintf(&text, "\nnote: %s\n", s.Note)
	}
	if s.Report != "" {
		_, _ = fmt.Fprintf(&text, "\nreport: %s\n", s.Report)
	}
	return text.String()
}

// AllMetrics is the summary with every split, subset and k instead of the short table.
func (s Summary) AllMetrics() string {
	var text strings.Builder
	s.writeStages(&text)
	text.WriteByte('\n')
	_ = evaluate.Print(&text, s.Metrics) // a Builder takes everything
	return text.String()
}

func (s Summary) writeStages(text *strings.Builder) {
	w := tabwriter.NewWriter(text, 0, 0, 2, ' ', 0)
	for _, o := range s.Stages {
		if o.Status == stage.Ran {
			_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", o.Stage, o.Duration(), o.Why)
		} else if o.Status == stage.UpToDate {
			_, _ = fmt.Fprintf(w, "%s\t%s\n", o.Stage, o.Status)
		}
	}
	_ = w.Flush()
}

// writeMetrics writes the test split: all users, with the published figures below ours, and where there is a ranker those
// users whose answer is among the candidates, on whom it can make a difference.
func (s Summary) writeMetrics(text *strings.Builder) {
	writeTable(text, "test, all users, full ranking", append(s.lines(evaluate.All), s.publishedLines()...))
	if subset := s.lines(evaluate.Retrieved); len(subset) > 1 {
		writeTable(text, "test, users with the answer among the candidates", subset)
	}
}

func writeTable(text *strings.Builder, title string, lines []line) {
	if len(lines) == 0 {
		return
	}
	text.WriteByte('\n')
	w := tabwriter.NewWriter(text, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprint(w, title)
	for _, c := range shown {
		_, _ = fmt.Fprintf(w, "\t%s@%d", c.metric, c.k)
	}
	_, _ = fmt.Fprintln(w)
	for _, line := range lines {
		_, _ = fmt.Fprint(w, line.model)
		for _, c := range shown {
			if value, ok := line.values[fmt.Sprint(c.metric, c.k)]; ok {
				_, _ = fmt.Fprintf(w, "\t%.4f", value)
			} else {
				_, _ = fmt.Fprint(w, "\t-")
			}
		}
		_, _ = fmt.Fprintln(w)
	}
	_ = w.Flush()
}

// line is a model's values by metric and k.
type line struct {
	model  string
	values map[string]float64
}

// lines gathers the test split's values of a subset by model, in the order in which the models come.
func (s Summary) lines(subset string) (lines []line) {
	for _, m := range s.Metrics {
		if m.Split == "test" && m.Subset == subset {
			lines = addValue(lines, m.Model, m.Metric, m.K, m.Value)
		}
	}
	return lines
}

func (s Summary) publishedLines() (lines []line) {
	if len(s.Metrics) == 0 {
		return nil
	}
	for _, p := range s.published {
		lines = addValue(lines, p.Model+" (published)", p.Metric, int32(p.K), p.Value)
	}
	return lines
}

func addValue(lines []line, model, metric string, k int32, value float64) []line {
	i := slices.IndexFunc(lines, func(l line) bool { return l.model == model })
	if i < 0 {
		i, lines = len(lines), append(lines, line{model, map[string]float64{}})
	}
	lines[i].values[fmt.Sprint(metric, k)] = value
	return lines
}
