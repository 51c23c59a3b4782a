package retrieve_test

import (
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// TestMemoryStaysFlatOverManyUsers ranks 200,000 histories of all lengths, which make batches of many shapes.
func TestMemoryStaysFlatOverManyUsers(t *testing.T) {
	if testing.Short() {
		t.Skip("ranking 200,000 users takes seconds")
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
	for range 50 {
		round()
	}
	before := resident(t)
	for range 200 {
		round()
	}
	const slack = 16 << 20
	if after := resident(t); after > before+slack {
		t.Errorf("resident memory grew from %d to %d bytes over 200,000 users", before, after)
	}
}

func resident(t *testing.T) int64 {
	t.Helper()
	runtime.GC()
	raw, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skipf("resident memory is read from /proc: %v", err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(raw))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}
