// Package prepare turns a raw interaction log into the tables of a run: items, users, interactions and sequences, with
// dense ids from 1. It does what upstream's Python preparation does, exactly, in one pass over the log, with about 40
// bytes of memory an interaction.
//
// The order of the steps, and the rule for each thing that may be odd in a log:
//
//  1. Rows that cannot be read (source.Reason) are rejected: counted by reason, written to rejects.csv. A file with more
//     bad rows than good ones is an error.
//  2. Interactions rated below MinRating are dropped.
//  3. Where the source has item metadata, interactions with items that it does not hold are dropped. The first metadata
//     row of an item counts, a later one only if the first had no title.
//  4. k-core: users with fewer than MinUser and items with fewer than MinItem interactions are dropped, again and again
//     until none is left. Duplicates (a user has the same item more than once, even at the same time) are kept and count,
//     as upstream has it. Users with fewer than three interactions cannot be split, so that MinUser is at least 3.
//  5. Users and items that are left are numbered from 1 in ascending order of source id: as numbers where all
//     that are left are whole numbers, else bytewise.
//  6. Each user's interactions are sorted by time; ties by item id, then by rating.
//  7. Leave one out: the last item is test, the one before it validation, the others train.
//
// An item without a title is called by its source id (counted as a missing title), so that prompts and reports always
// have something to show. If a step leaves nothing, the error says which one.
package prepare

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"path/filepath"

	"mllm4rec/data/source"
	"mllm4rec/internal/atomicfile"
	"mllm4rec/internal/fail"
	"mllm4rec/internal/progress"
)

// Options are the thresholds of the preparation.
type Options struct {
	// MinRating drops interactions rated lower.
	MinRating float64
	// MinUser and MinItem are the k of the k-core: the fewest interactions of a user and of an item. Less than 1 is an
	// error; MinUser below 3 counts as 3.
	MinUser, MinItem int
	// Log is told of the first rejected rows; rejects.csv holds all of them. Nil is silent.
	Log *slog.Logger
}

// DefaultOptions are upstream's: all ratings, 5-core.
var DefaultOptions = Options{MinRating: 0, MinUser: 5, MinItem: 5}

// Stats are the counts of a preparation, as they stand in prepare.json.
type Stats struct {
	RawRows           int64            `json:"raw_rows"`       // of the log, with the rejected ones
	Rejected          map[string]int64 `json:"rejected"`       // rows of the log by reason
	RejectedItems     map[string]int64 `json:"rejected_items"` // rows of the item metadata by reason
	DroppedByRating   int64            `json:"dropped_by_rating"`
	DroppedByMetadata int64            `json:"dropped_by_metadata"` // interactions with items that the metadata does not hold
	DroppedByKCore    int64            `json:"dropped_by_k_core"`
	Users             int              `json:"users"`
	Items             int              `json:"items"`
	Interactions      int64            `json:"interactions"`
	MinLength         int              `json:"min_length"` // of a user's sequence
	MaxLength         int              `json:"max_length"`
	MeanLength        float64          `json:"mean_length"`
	MissingTitles     int              `json:"missing_titles"`
	// SequencesSHA256 is over lines "user:item,item,…\n" of source ids, users ascending, items in time order.
	SequencesSHA256 string `json:"sequences_sha256"`
	// ItemsSHA256 is over the source ids of the items, ascending, one a line.
	ItemsSHA256 string `json:"items_sha256"`
}

// Run prepares src and writes items.parquet, users.parquet, interactions.parquet, sequences.parquet, rejects.csv and
// prepare.json into dir. The files are byte-equal for equal data and options, whatever the machine.
func Run(ctx context.Context, src source.Source, o Options, dir string, p *progress.Printer) (Stats, error) {
	if o.MinUser < 1 || o.MinItem < 1 {
		return Stats{}, fail.Usagef("prepare: the k-core needs at least 1 interaction a user and an item, not %d and %d", o.MinUser, o.MinItem)
	}
	o.MinUser = max(o.MinUser, 3)
	rejects, err := createRejects(filepath.Join(dir, "rejects.csv"), o.Log)
	if err != nil {
		return Stats{}, err
	}
	defer rejects.abort()
	b := &builder{options: o, progress: p, users: newDictionary(), items: newDictionary()}
	// What was rejected is kept, above all when it is the reason for an error.
	if err := errors.Join(b.read(ctx, src, rejects), rejects.commit()); err != nil {
		return b.stats, err
	}
	if err := b.filter(ctx); err != nil {
		return b.stats, err
	}
	if err := b.write(ctx, dir); err != nil {
		return b.stats, err
	}
	data, err := json.MarshalIndent(b.stats, "", "  ")
	if err != nil {
		return b.stats, err
	}
	return b.stats, atomicfile.WriteFile(filepath.Join(dir, "prepare.json"), append(data, '\n'))
}
