package evaluate

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"mllm4rec/data/table"
	"mllm4rec/internal/atomicfile"
)

// writeJSON writes the rows as one JSON array, a row a line.
func writeJSON(path string, rows []table.Metric) error {
	return atomicfile.Write(path, func(w io.Writer) error {
		for i, row := range rows {
			line, err := json.Marshal(row)
			if err != nil {
				return fmt.Errorf("%s: %s@%d of %s: %w", path, row.Metric, row.K, row.Model, err)
			}
			before := ",\n "
			if i == 0 {
				before = "[\n "
			}
			if _, err := fmt.Fprintf(w, "%s%s", before, line); err != nil {
				return err
			}
		}
		_, err := io.WriteString(w, "\n]\n")
		return err
	})
}

// line is one of a printed table: a metric at a k.
type line struct {
	metric string
	k      int32
}

// Print writes the rows for people: a table a split and subset, with a line a metric and k and a column a model, all in
// the order in which they come.
func Print(w io.Writer, rows []table.Metric) error {
	type heading struct{ split, subset string }
	for len(rows) > 0 {
		head := heading{rows[0].Split, rows[0].Subset}
		var part, rest []table.Metric
		for _, row := range rows {
			if (heading{row.Split, row.Subset}) == head {
				part = append(part, row)
			} else {
				rest = append(rest, row)
			}
		}
		if _, err := fmt.Fprintf(w, "%s, %s users\n", head.split, head.subset); err != nil {
			return err
		}
		if err := printPart(w, part); err != nil {
			return err
		}
		rows = rest
	}
	return nil
}

func printPart(w io.Writer, rows []table.Metric) error {
	var lines []line
	var models []string
	values := map[line]map[string]float64{}
	for _, row := range rows {
		l := line{row.Metric, row.K}
		if values[l] == nil {
			values[l] = map[string]float64{}
			lines = append(lines, l)
		}
		if !slices.Contains(models, row.Model) {
			models = append(models, row.Model)
		}
		values[l][row.Model] = row.Value
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintf(t, "\t%s\t\n", strings.Join(models, "\t"))
	for _, l := range lines {
		_, _ = fmt.Fprintf(t, "%s@%d\t", l.metric, l.k)
		for _, model := range models {
			cell := ""
			if v, ok := values[l][model]; ok {
				cell = fmt.Sprintf("%.4f", v)
			}
			_, _ = fmt.Fprintf(t, "%s\t", cell)
		}
		_, _ = fmt.Fprintln(t)
	}
	return t.Flush()
}
