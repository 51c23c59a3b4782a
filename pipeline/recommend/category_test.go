package recommend

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestManyCategoriesAreLookedUpAtOnce sends what a body of 1 MiB holds to a catalogue of a large shop. Nothing could end it: it took
// minutes where each name was compared with all.
func TestManyCategoriesAreLookedUpAtOnce(t *testing.T) {
	t.Parallel()
	c := &catalogue{places: map[string]int32{}}
	c.categoriesOf = [][]int32{nil, c.placesOf(names(3000))}
	wanted := slices.Repeat(names(3000)[2999:], 30_000)
	begun := time.Now()
	f, err := c.filter(nil, wanted)
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("%d names took %v", len(wanted), took)
	}
	if f.categoriesOf = append(f.categoriesOf, []int32{1, 2}); !f.allows(1) || f.allows(2) {
		t.Error("the filter lets others through")
	}
}

func names(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("A category of a large shop, the one with the number %d", i)
	}
	return all
}
