package report

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"mllm4rec/data/prepare"
)

// preparedSection shows what preparation read and what it dropped, from prepare.json.
type preparedSection struct {
	Missing string
	Facts   []fact
}

func loadPrepared(dir string) (preparedSection, error) {
	raw, err := os.ReadFile(filepath.Join(dir, prepareFile))
	if err != nil {
		sentence, err := missing(err, "What preparation dropped ("+prepareFile+") is not in this run folder.")
		return preparedSection{Missing: sentence}, err
	}
	var stats prepare.Stats
	if err := json.Unmarshal(raw, &stats); err != nil {
		return preparedSection{}, fmt.Errorf("%s: %w", prepareFile, err)
	}
	return preparedSection{Facts: preparedFacts(stats)}, nil
}

// preparedFacts lists the raw rows, every reason for which rows were dropped, and what is left.
func preparedFacts(stats prepare.Stats) []fact {
	facts := []fact{{"Rows read", comma(stats.RawRows)}}
	for _, reason := range slices.Sorted(maps.Keys(stats.Rejected)) {
		facts = append(facts, fact{"Rejected: " + reason, comma(stats.Rejected[reason])})
	}
	for _, dropped := range []struct {
		name  string
		count int64
	}{
		{"Rated too low", stats.DroppedByRating},
		{"Item without metadata", stats.DroppedByMetadata},
		{"Outside the k-core", stats.DroppedByKCore},
	} {
		if dropped.count > 0 {
			facts = append(facts, fact{dropped.name, comma(dropped.count)})
		}
	}
	facts = append(facts, fact{"Kept", comma(stats.Interactions)})
	if stats.MissingTitles > 0 {
		facts = append(facts, fact{"Items without a title", comma(stats.MissingTitles)})
	}
	return facts
}
