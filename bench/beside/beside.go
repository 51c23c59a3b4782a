// Package beside is what the benchmarks beside other programs have in common. Those of the retriever share their flags, the
// real data sets with the sizes that upstream trains on them, and the loop over those that are there; those of the ranker
// the prompts of real users.
package beside

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"

	"mllm4rec/data/prepare"
	"mllm4rec/data/source"
	"mllm4rec/data/table"
)

// Flags are the flags of both benchmarks; each adds its own.
type Flags struct {
	Python          string
	Rounds, Threads int
	shared          string
}

// Parse adds the flags to those that the command has declared, and parses them all. modules says what Python must have.
func (f *Flags) Parse(modules string) {
	flag.StringVar(&f.shared, "shared", cmp.Or(os.Getenv("MLLM4REC_SHARED"), "../shared"), "folder with the data sets")
	flag.StringVar(&f.Python, "python", cmp.Or(os.Getenv("MLLM4REC_PYTHON"), "python3"), "Python with "+modules)
	flag.IntVar(&f.Rounds, "rounds", 3, "rounds, of which the median is taken")
	flag.IntVar(&f.Threads, "threads", 0, "CPU threads of each side; 0 is one a CPU")
	flag.Parse()
	if f.Threads == 0 {
		f.Threads = runtime.NumCPU()
	}
}

// Set is a real data set.
type Set struct {
	Name string
	// Length and Batch are those that upstream trains with.
	Length, Batch int
	source        source.Options
}

// The names of the data sets.
const (
	LatestSmall = "MovieLens latest-small"
	Beauty      = "Amazon Beauty"
)

func (f *Flags) sets() []Set {
	return []Set{
		{LatestSmall, 200, 16, source.Options{Kind: "movielens", Path: filepath.Join(f.shared, "data", "ml-latest-small")}},
		{Beauty, 50, 64, source.Options{
			Kind: "csv", Path: filepath.Join(f.shared, "data", "beauty"), Interactions: "ratings_Beauty_5core_order.csv", NoHeader: true,
			Columns: source.Columns{User: "1", Item: "2", Rating: "3", Timestamp: "4"},
		}},
	}
}

// Run calls measure for each data set that is there, with a folder of its own that holds its tables and is removed at the
// end. Ctrl-C ends ctx.
func (f *Flags) Run(measure func(ctx context.Context, set Set, dir string) error) error {
	if f.Rounds < 1 || f.Threads < 0 {
		return fmt.Errorf("-rounds %d, -threads %d: at least one round, no negative number of threads", f.Rounds, f.Threads)
	}
	return InFolder(func(ctx context.Context, dir string) error {
		for _, set := range f.sets() {
			if _, err := os.Stat(set.source.Path); err != nil {
				fmt.Printf("%s: left out, %v: set MLLM4REC_SHARED or -shared\n", set.Name, err)
				continue
			}
			if err := measure(ctx, set, filepath.Join(dir, filepath.Base(set.source.Path))); err != nil {
				return fmt.Errorf("%s: %w", set.Name, err)
			}
		}
		return nil
	})
}

// InFolder calls measure with a temporary folder, which is removed at the end. Ctrl-C ends ctx.
func InFolder(measure func(ctx context.Context, dir string) error) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	return measure(ctx, dir)
}

// Prepare writes the tables into dir and returns the sequences and the size of the catalogue.
func (s Set) Prepare(ctx context.Context, dir string) (rows []table.Sequence, items int, err error) {
	raw, err := source.Open(s.source)
	if err != nil {
		return nil, 0, err
	}
	stats, err := prepare.Run(ctx, raw, prepare.DefaultOptions, dir, nil)
	if err != nil {
		return nil, 0, err
	}
	rows, err = table.ReadAll[table.Sequence](filepath.Join(dir, "sequences.parquet"))
	return rows, stats.Items, err
}
