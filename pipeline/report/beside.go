package report

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"mllm4rec/data/metric"
	"mllm4rec/data/table"
	"mllm4rec/pipeline/rank"
)

// Beside is another run, by its folder, whose metrics stand beside this run's.
type Beside struct {
	Dir string
	// Differs says in what the two recipes differ, a line a key, "ranker.captions: caption here, none there".
	Differs []string
}

// besideSection compares this run with others, on the test split.
type besideSection struct {
	Columns []string
	Groups  []besideGroup
	Runs    []besideRun
}

// besideGroup is one model over one subset of the users; its rows are runs.
type besideGroup struct {
	Name string
	Rows []besideRow
}

type besideRow struct {
	Run   string
	Ours  bool
	Cells []string
}

// besideRun is what there is to say of one other run.
type besideRun struct {
	Dir            string
	Differs, Notes []string
}

// besideColumns are the metrics of a comparison.
var besideColumns = []struct {
	metric string
	k      int32
}{{metric.Recall, 10}, {metric.NDCG, 10}, {metric.MRR, 10}, {metric.Recall, 20}, {metric.NDCG, 20}}

func loadBeside(ctx context.Context, dir string, ours []table.Metric, o Options) (besideSection, error) {
	var s besideSection
	if len(o.Beside) == 0 {
		return s, nil
	}
	for _, c := range besideColumns {
		s.Columns = append(s.Columns, fmt.Sprintf("%s@%d", metricLabel(c.metric), c.k))
	}
	s.add(dir, ours, true)
	for _, other := range o.Beside {
		rows, err := table.ReadAll[table.Metric](filepath.Join(other.Dir, metricsFile))
		if err != nil {
			return s, fmt.Errorf("the run beside, %s: %w", other.Dir, err)
		}
		s.add(other.Dir, rows, false)
		var both []string
		for _, model := range []string{rankerModel, fusionModel} {
			if measured(ours, model) && measured(rows, model) {
				both = append(both, model)
			}
		}
		notes, err := besideNotes(ctx, dir, other.Dir, both)
		if err != nil {
			return s, fmt.Errorf("the run beside, %s: %w", other.Dir, err)
		}
		s.Runs = append(s.Runs, besideRun{other.Dir, other.Differs, notes})
	}
	return s, nil
}

// add puts a run's rows into the groups of this run's models; models that only the other run has make no group.
func (s *besideSection) add(run string, rows []table.Metric, ours bool) {
	for _, subset := range []string{allUsers, retrievedUsers} {
		for _, model := range []string{ourModel, rankerModel, fusionModel} {
			cells, found := besideCells(rows, model, subset)
			if !found {
				continue
			}
			name := model + ", " + splitTitle(splitKey{sampleSplit, subset})
			i := slices.IndexFunc(s.Groups, func(g besideGroup) bool { return g.Name == name })
			if i < 0 && ours {
				i, s.Groups = len(s.Groups), append(s.Groups, besideGroup{Name: name})
			}
			if i >= 0 {
				s.Groups[i].Rows = append(s.Groups[i].Rows, besideRow{run, ours, cells})
			}
		}
	}
}

func besideCells(rows []table.Metric, model, subset string) (cells []string, found bool) {
	cells = make([]string, len(besideColumns))
	for _, m := range rows {
		for i, c := range besideColumns {
			if m.Model == model && m.Split == sampleSplit && m.Subset == subset && m.Metric == c.metric && m.K == c.k {
				cells[i], found = share(m.Value), true
			}
		}
	}
	return cells, found
}

// besideNotes says whether the figures can be compared at all, and how sure the difference is of those models of the ranker that
// both runs have.
func besideNotes(ctx context.Context, dir, other string, both []string) ([]string, error) {
	same, err := sameFile(filepath.Join(dir, sequencesFile), filepath.Join(other, sequencesFile))
	if err != nil {
		return nil, err
	}
	if !same {
		return []string{"It has other users or items: the figures are of different data, and cannot be compared."}, nil
	}
	var notes []string
	lists := map[string]string{rankerModel: rank.RankingsFile, fusionModel: rank.FusedFile}
	for _, model := range both {
		d, err := pairedGain(ctx, filepath.Join(dir, lists[model]), filepath.Join(other, lists[model]))
		sentence, err := missing(err, "The lists of the "+model+" ("+lists[model]+") are not in both run folders.")
		if err != nil {
			return nil, err
		}
		notes = append(notes, cmp.Or(sentence, d.text(model)))
	}
	return notes, nil
}

// sameFile compares contents.
func sameFile(a, b string) (bool, error) {
	first, err := sumOf(a)
	if err != nil {
		return false, err
	}
	second, err := sumOf(b)
	return bytes.Equal(first, second), err
}

func sumOf(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // read only
	sum := sha256.New()
	_, err = io.Copy(sum, file)
	return sum.Sum(nil), err
}
