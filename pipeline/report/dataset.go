package report

import (
	"context"
	"fmt"
	"path/filepath"

	"mllm4rec/data/table"
)

// sequencesScan is what one pass over sequences.parquet gives: counts for the statistics and the sample users' rows.
type sequencesScan struct {
	missing      string
	users        int64
	items        int64
	interactions int64
	lengths      *histogram
	popularity   []int32 // interactions of each item; [items+1], 0 unused
	sample       []table.Sequence
}

// checkEvery is how many rows are read between two looks at the context.
const checkEvery = 4096

// scanSequences reads items.parquet's row count and all of sequences.parquet.
func scanSequences(ctx context.Context, dir string, options Options) (*sequencesScan, error) {
	scan := &sequencesScan{lengths: newHistogram()}
	items, err := table.Open[table.Item](filepath.Join(dir, itemsFile))
	if err != nil {
		scan.missing, err = missing(err, "The prepared items ("+itemsFile+") are not in this run folder.")
		return scan, err
	}
	scan.items = items.NumRows()
	if err := items.Close(); err != nil {
		return nil, err
	}
	sequences, err := table.Open[table.Sequence](filepath.Join(dir, sequencesFile))
	if err != nil {
		scan.missing, err = missing(err, "The users' sequences ("+sequencesFile+") are not in this run folder.")
		return scan, err
	}
	defer func() { _ = sequences.Close() }()
	scan.popularity = make([]int32, scan.items+1)
	chosen := chooseRows(options.Seed, options.SampleUsers, sequences.NumRows())
	for row, err := range sequences.Rows() {
		if err == nil && scan.users%checkEvery == 0 {
			err = ctx.Err()
		}
		if err == nil {
			err = scan.add(row, chosen)
		}
		if err != nil {
			return nil, err
		}
	}
	return scan, nil
}

// add counts one user, and keeps the row if it was chosen.
func (s *sequencesScan) add(row table.Sequence, chosen map[int64]bool) error {
	for _, part := range [][]int32{row.Train, {row.Val, row.Test}} {
		for _, item := range part {
			if item < 1 || int64(item) > s.items {
				return fmt.Errorf("%s: row %d: item %d, but %s numbers 1 to %d", sequencesFile, s.users+1, item, itemsFile, s.items)
			}
			s.popularity[item]++
		}
	}
	if chosen[s.users] {
		s.sample = append(s.sample, row)
	}
	s.users++
	s.interactions += int64(len(row.Train) + 2)
	s.lengths.add(len(row.Train) + 2)
	return nil
}

// datasetSection shows the prepared data.
type datasetSection struct {
	Missing string
	Facts   []fact
	Figures []figure
}

func newDatasetSection(scan *sequencesScan) (datasetSection, error) {
	if scan.missing != "" {
		return datasetSection{Missing: scan.missing}, nil
	}
	if scan.users == 0 {
		return datasetSection{Missing: "The prepared data has no users."}, nil
	}
	popularity := newHistogram()
	for _, count := range scan.popularity[1:] {
		popularity.add(int(count))
	}
	lengths, err := histogramFigure("Length of a history", "users", scan.lengths,
		fmt.Sprintf("Interactions of a user, those held out included. Median %s, mean %.1f, longest %s.",
			comma(scan.lengths.median()), scan.lengths.mean(), comma(scan.lengths.max)))
	if err != nil {
		return datasetSection{}, err
	}
	items, err := histogramFigure("Popularity of an item", "items", popularity,
		fmt.Sprintf("Interactions of an item. Median %s, mean %.1f, most %s. The most popular tenth of the items has %s of the interactions.",
			comma(popularity.median()), popularity.mean(), comma(popularity.max), percent(popularity.topShare())))
	return datasetSection{Facts: datasetFacts(scan), Figures: []figure{lengths, items}}, err
}

func datasetFacts(scan *sequencesScan) []fact {
	cells := float64(scan.users) * float64(scan.items)
	return []fact{
		{"Users", comma(scan.users)},
		{"Items", comma(scan.items)},
		{"Interactions", comma(scan.interactions)},
		{"Density", fmt.Sprintf("%.3g%%", 100*float64(scan.interactions)/cells)},
	}
}

// histogramFigure draws a histogram. Some bars are labelled, by where they start.
func histogramFigure(title, what string, h *histogram, caption string) (figure, error) {
	bins := h.bins()
	every := 2 // bars from one label to the next, so that labels do not meet
	if len(bins) > 14 {
		every = 4
	}
	labels := make([]string, len(bins))
	values := make([]float64, len(bins))
	for i, b := range bins {
		values[i] = float64(b.Count)
		if (len(bins)-1-i)%every == 0 {
			labels[i] = comma(b.From)
		}
	}
	chart, err := barChart(title+": number of "+what, labels, values)
	return figure{title, caption + " A bar reaches from its number to the next one's; heights count " + what + ".", chart, nil}, err
}
