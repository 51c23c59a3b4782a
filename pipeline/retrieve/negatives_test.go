package retrieve_test

import (
	"path/filepath"
	"slices"
	"testing"

	"mllm4rec/data/table"
	"mllm4rec/pipeline/retrieve"
)

func TestNegativesAreProposalsThatMayHoldTheNextItem(t *testing.T) {
	t.Parallel()
	rows := users(400) // more prefixes than a chunk of histories
	for u := range rows {
		rows[u].Train[0] = 29 // an answer of val, which must not matter
	}
	o := options(t, rows)
	o.Out, o.K = filepath.Join(t.TempDir(), "negatives.parquet"), 10
	count, err := retrieve.Negatives(t.Context(), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := table.ReadAll[table.Negatives](o.Out)
	if err != nil {
		t.Fatal(err)
	}
	at, hits := 0, 0
	for _, row := range rows {
		for n := 2; n < len(row.Train); n++ {
			g := got[at]
			at++
			if g.UserID != row.UserID || int(g.Position) != n || len(g.Items) != 10 {
				t.Fatalf("row %d is user %d, position %d, %d items; want %d, %d, 10", at, g.UserID, g.Position, len(g.Items), row.UserID, n)
			}
			for _, item := range g.Items {
				if slices.Contains(row.Train[:n], item) {
					t.Fatalf("user %d, position %d: %d is in the history", row.UserID, n, item)
				}
			}
			if slices.Contains(g.Items, row.Train[n]) {
				hits++
			}
		}
	}
	if hits == 0 || hits == at {
		t.Errorf("%d of %d lists hold the item that came next", hits, at)
	}
	if at != len(got) || count != int64(at) {
		t.Errorf("%d rows, %d counted, want %d", len(got), count, at)
	}
}
