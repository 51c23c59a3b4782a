// Package testkit is what the tests of several packages need: the reference data, results without their errors, peak memory.
package testkit

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Shared is a path in the folder of reference data, which is not part of the repository: MLLM4REC_SHARED, or shared beside
// the repository. It skips the test where the path is not there.
func Shared(t testing.TB, path ...string) string {
	t.Helper()
	folder := os.Getenv("MLLM4REC_SHARED")
	if folder == "" {
		folder = filepath.Join(Root(t), "..", "shared")
	}
	whole := filepath.Join(append([]string{folder}, path...)...)
	if _, err := os.Stat(whole); err != nil {
		t.Skipf("needs the reference data: %v; MLLM4REC_SHARED says where it is", err)
	}
	return whole
}

// Root is the folder of go.mod above the working folder.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
	}
	t.Fatal("no go.mod above the working folder")
	return ""
}

// Must is the result of a call that may not fail: Must(os.Stat(path))(t).
func Must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// Status is a line of /proc/self/status in bytes, such as VmRSS or VmHWM. It skips the test where there is none.
func Status(t testing.TB, key string) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skipf("memory is read from /proc: %v", err)
	}
	for line := range strings.Lines(string(text)) {
		var kib int64
		if _, err := fmt.Sscanf(line, key+": %d kB", &kib); err == nil {
			return kib << 10
		}
	}
	t.Skipf("no %s in /proc/self/status", key)
	return 0
}
