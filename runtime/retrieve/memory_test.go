package retrieve_test

import (
	"math/rand/v2"
	"testing"

	"mllm4rec/runtime/ort/orttest"
)

// TestMemoryStaysFlatOverManyUsers ranks 100,000 histories of all lengths, which make batches of many shapes.
func TestMemoryStaysFlatOverManyUsers(t *testing.T) {
	if testing.Short() {
		t.Skip("ranking 100,000 users takes seconds")
	}
	r, random := open(t, 2), rand.New(rand.NewPCG(1, 1))
	round := func() {
		histories := make([][]int32, 1000)
		for i := range histories {
			histories[i] = make([]int32, 1+random.IntN(200))
			for j := range histories[i] {
				histories[i][j] = 1 + random.Int32N(tinyItems)
			}
		}
		if _, err := r.TopK(t.Context(), histories, 1+random.IntN(tinyItems)); err != nil {
			t.Fatal(err)
		}
	}
	for range 25 {
		round()
	}
	orttest.Flat(t, 16<<20, func() {
		for range 100 {
			round()
		}
	})
}
