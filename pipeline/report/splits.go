package report

import (
	"slices"

	"mllm4rec/data/metric"
	"mllm4rec/data/table"
)

// splitTable is the table of one split and subset: groups of rows, one group a metric, one column a k.
type splitTable struct {
	Title  string
	Note   string
	Ks     []int32
	Groups []metricGroup
}

// Columns is the number of the table's columns.
func (t splitTable) Columns() int { return len(t.Ks) + 1 }

// metricGroup is one metric of all models.
type metricGroup struct {
	Name string
	Rows []metricRow
}

// metricRow is one model; cells without a value are empty. Source is the number of the note that says where a published
// figure comes from, 0 for our own.
type metricRow struct {
	Model  string
	Ours   bool
	Source int
	Cells  []string
}

// splitKey names a table: a split and a subset of its users.
type splitKey struct{ split, subset string }

func (k splitKey) has(m table.Metric) bool { return m.Split == k.split && m.Subset == k.subset }

func splitsOf(rows []table.Metric) []splitKey {
	var keys []splitKey
	for _, m := range rows {
		if key := (splitKey{m.Split, m.Subset}); !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	slices.SortStableFunc(keys, func(a, b splitKey) int { return a.order() - b.order() })
	return keys
}

// order puts all users before subsets of them, and test before the other splits.
func (k splitKey) order() int {
	order := 0
	if k.split != "test" {
		order++
	}
	if !k.everyone() {
		order += 2
	}
	return order
}

// everyone reports whether the table is over all users.
func (k splitKey) everyone() bool { return k.subset == allUsers || k.subset == "" }

// newSplitTable lays out one split. Published figures stand in the test table over all users only.
func newSplitTable(key splitKey, rows []table.Metric, published []Published, sources []string) splitTable {
	t := splitTable{Title: splitTitle(key)}
	if key.split != "test" || !key.everyone() {
		published = nil
	}
	for _, m := range rows {
		if key.has(m) && !slices.Contains(t.Ks, m.K) {
			t.Ks = append(t.Ks, m.K)
		}
	}
	for _, p := range published {
		if !slices.Contains(t.Ks, int32(p.K)) {
			t.Ks = append(t.Ks, int32(p.K))
		}
	}
	slices.Sort(t.Ks)
	for _, name := range metricNames(key, rows) {
		group := metricGroup{Name: metricLabel(name)}
		group.Rows = append(ourRows(key, name, t.Ks, rows), publishedRows(name, t.Ks, published, sources)...)
		t.Groups = append(t.Groups, group)
	}
	return t
}

func splitTitle(key splitKey) string {
	title := key.split
	switch key.split {
	case "test":
		title = "Test"
	case "val":
		title = "Validation"
	}
	switch {
	case key.subset == retrievedUsers:
		title += ", answer among the candidates"
	case !key.everyone():
		title += ", " + key.subset
	}
	return title
}

// metricNames lists the split's metrics, the known ones first.
func metricNames(key splitKey, rows []table.Metric) []string {
	known := []string{metric.Recall, metric.NDCG, metric.MRR, metric.Coverage}
	names := []string{}
	for _, name := range known {
		if slices.ContainsFunc(rows, func(m table.Metric) bool { return key.has(m) && m.Metric == name }) {
			names = append(names, name)
		}
	}
	for _, m := range rows {
		if key.has(m) && !slices.Contains(names, m.Metric) {
			names = append(names, m.Metric)
		}
	}
	return names
}

func ourRows(key splitKey, name string, ks []int32, rows []table.Metric) []metricRow {
	var out []metricRow
	at := map[string]int{}
	for _, m := range rows {
		if !key.has(m) || m.Metric != name {
			continue
		}
		i, known := at[m.Model]
		if !known {
			i, at[m.Model] = len(out), len(out)
			out = append(out, metricRow{Model: m.Model, Ours: m.Model != popularityModel && m.Model != randomModel, Cells: make([]string, len(ks))})
		}
		out[i].Cells[slices.Index(ks, m.K)] = share(m.Value)
	}
	return out
}

func publishedRows(name string, ks []int32, published []Published, sources []string) []metricRow {
	var out []metricRow
	for _, p := range published {
		if p.Metric != name {
			continue
		}
		source := slices.Index(sources, p.Source) + 1
		i := slices.IndexFunc(out, func(r metricRow) bool { return r.Model == p.Model && r.Source == source })
		if i < 0 {
			i = len(out)
			out = append(out, metricRow{Model: p.Model, Source: source, Cells: make([]string, len(ks))})
		}
		out[i].Cells[slices.Index(ks, int32(p.K))] = share(p.Value)
	}
	return out
}
