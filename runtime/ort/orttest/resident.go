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
