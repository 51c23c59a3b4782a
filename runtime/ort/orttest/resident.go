package orttest

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// Resident is the process's resident memory in bytes, C memory included. It skips the test where /proc does not tell.
func Resident(t testing.TB) int64 {
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

// Flat fails the test where resident memory grows by more than slack bytes in each of three times that work is done. Once or
// twice it may: arenas of several threads fill up for a while, the sooner as poisoned memory is all touched. What leaks
// grows every time.
func Flat(t testing.TB, slack int64, work func()) {
	t.Helper()
	var grown int64
	for range 3 {
		before := Resident(t)
		work()
		if grown = Resident(t) - before; grown <= slack {
			return
		}
	}
	t.Errorf("resident memory grew by %d bytes, after it had grown as much twice before", grown)
}
