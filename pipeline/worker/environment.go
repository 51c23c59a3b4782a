package worker

import (
	"fmt"
	"runtime"
	"strings"
)

// Allocator is the value of GLIBC_TUNABLES that the worker is started with: freed memory stays with the process.
const Allocator = "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=4294967296:glibc.malloc.top_pad=67108864"

// environment adds what makes libtorch fast to env; what the user has set stays.
//
// glibc by default gives every freed block above 128 KiB back to the kernel and takes page faults to get it again.
// OpenMP's threads by default spin for milliseconds at the end of every parallel region; where anything else runs on the
// machine they spin in the way of the thread that they wait for, and a step takes ten times as long.
func environment(env []string, threads int) []string {
	if threads <= 0 {
		threads = runtime.NumCPU()
	}
	for _, fast := range []string{
		"GLIBC_TUNABLES=" + Allocator,
		"OMP_WAIT_POLICY=passive",
		fmt.Sprintf("OMP_NUM_THREADS=%d", threads),
	} {
		name, _, _ := strings.Cut(fast, "=")
		if !hasVariable(env, name) {
			env = append(env, fast)
		}
	}
	return env
}

func hasVariable(env []string, name string) bool {
	for _, entry := range env {
		if strings.HasPrefix(entry, name+"=") {
			return true
		}
	}
	return false
}
