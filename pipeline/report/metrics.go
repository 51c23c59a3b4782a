package report

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"mllm4rec/data/metric"
	"mllm4rec/data/table"
)

// Models of the metrics table that are spoken of by name.
const (
	ourModel        = "retriever"
	rankerModel     = "ranker"
	fusionModel     = "fusion"
	popularityModel = "popularity"
	randomModel     = "random"
)

// Subsets of the users in the metrics table.
const (
	allUsers       = "all"
	retrievedUsers = "retrieved"
)

// metricsSection shows metrics at k, test before validation.
type metricsSection struct {
	Missing string
	Splits  []splitTable
	Sources []string
	Figures []figure
	rows    []table.Metric
}

func loadMetrics(dir string, published []Published, users int64) (metricsSection, error) {
	rows, err := table.ReadAll[table.Metric](filepath.Join(dir, metricsFile))
	if err != nil {
		sentence, err := missing(err, "The run has not been evaluated: "+metricsFile+" is not in this run folder.")
		return metricsSection{Missing: sentence}, err
	}
	if len(rows) == 0 {
		return metricsSection{Missing: "The table of metrics is empty."}, nil
	}
	if err := checkMetrics(rows); err != nil {
		return metricsSection{}, err
	}
	slices.SortStableFunc(rows, func(a, b table.Metric) int { return modelOrder(a.Model) - modelOrder(b.Model) })
	section := metricsSection{rows: rows, Sources: sources(published)}
	keys := splitsOf(rows)
	for _, key := range keys {
		section.Splits = append(section.Splits, newSplitTable(key, rows, published, section.Sources))
	}
	section.Splits[0].Note = recallNote(section, users)
	chart, err := recallFigure(keys[0], rows)
	if chart != nil {
		section.Figures = append(section.Figures, *chart)
	}
	return section, err
}

// checkMetrics refuses values that are no share, which no chart can hold.
func checkMetrics(rows []table.Metric) error {
	for i, m := range rows {
		if !(m.Value >= 0 && m.Value <= 1) {
			return fmt.Errorf("%s: row %d: %s@%d of %s is %v, which is not from 0 to 1", metricsFile, i+1, m.Metric, m.K, m.Model, m.Value)
		}
	}
	return nil
}

// modelOrder puts trained models before the baselines.
func modelOrder(model string) int { return slices.Index([]string{popularityModel, randomModel}, model) }

// sources lists where the published figures come from, each once.
func sources(published []Published) []string {
	var out []string
	for _, p := range published {
		if p.Source != "" && !slices.Contains(out, p.Source) {
			out = append(out, p.Source)
		}
	}
	return out
}

// value finds one number among the rows.
func (s metricsSection) value(model, split, name string, k int32) (float64, bool) {
	for _, m := range s.rows {
		if m.Model == model && m.Split == split && (splitKey{m.Split, m.Subset}).everyone() && m.Metric == name && m.K == k {
			return m.Value, true
		}
	}
	return 0, false
}

// measured says whether a model is among the rows. It tells whether a run has a ranker: the files of one that an earlier recipe had
// may lie about.
func measured(rows []table.Metric, model string) bool {
	return slices.ContainsFunc(rows, func(m table.Metric) bool { return m.Model == model })
}

// recallNote says how sure a recall over so many users is.
func recallNote(s metricsSection, users int64) string {
	recall, found := s.value(ourModel, "test", metric.Recall, 10)
	if !found || users == 0 {
		return ""
	}
	deviation := math.Sqrt(recall * (1 - recall) / float64(users))
	return fmt.Sprintf("Over %s users a Recall@10 of %s has a standard error of %s: smaller differences need more seeds.",
		comma(users), share(recall), share(deviation))
}

// recallFigure draws Recall at k of all models on the split that comes first, test where there is one. It returns nil
// where there is too little or too much to draw.
func recallFigure(key splitKey, rows []table.Metric) (*figure, error) {
	var l lines
	var names []string
	var all []float64
	for _, m := range rows {
		if !key.has(m) || m.Metric != metric.Recall {
			continue
		}
		i := slices.Index(names, m.Model)
		if i < 0 {
			i, names, l.data = len(names), append(names, m.Model), append(l.data, nil)
		}
		l.data[i] = append(l.data[i], m.Value)
		if i == 0 {
			l.labels = append(l.labels, fmt.Sprintf("@%d", m.K))
		}
		all = append(all, m.Value)
	}
	uneven := func(values []float64) bool { return len(values) != len(l.labels) }
	if len(names) > seriesColours || len(l.labels) < 2 || slices.ContainsFunc(l.data, uneven) {
		return nil, nil
	}
	l.axis = valueAxis(all)
	chart, err := drawLines("Recall at k: "+strings.Join(names, ", "), l)
	return &figure{"Recall at k, " + strings.ToLower(splitTitle(key)), "The whole catalogue ranked, history excluded.", chart, names}, err
}

// tile is a headline number.
type tile struct{ Name, Value, Note string }

// headline is the model that the tiles speak of, and the one that it is measured against.
func (s metricsSection) headline() (model, base string) {
	if _, found := s.value(fusionModel, "test", metric.Recall, 10); found {
		return fusionModel, ourModel
	}
	return ourModel, popularityModel
}

// tiles are the headlines on the test split: the retriever with what popularity reaches, or retriever and ranker together
// with what the retriever alone reaches.
func tiles(s metricsSection) []tile {
	var out []tile
	model, base := s.headline()
	for _, head := range []struct {
		name string
		k    int32
	}{{metric.Recall, 10}, {metric.NDCG, 10}, {metric.Recall, 20}, {metric.Coverage, 20}} {
		value, found := s.value(model, "test", head.name, head.k)
		if !found {
			continue
		}
		t := tile{Name: fmt.Sprintf("%s@%d", metricLabel(head.name), head.k), Value: share(value)}
		if below, found := s.value(base, "test", head.name, head.k); found {
			t.Note = base + " " + share(below)
		}
		out = append(out, t)
	}
	return out
}
