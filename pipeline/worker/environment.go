package worker

import "strings"

// environment adds what makes libtorch fast to env; what the user has set stays. glibc by default gives every freed block
// above 128 KiB back to the kernel and takes page faults to get it again; a training step does that many times.
func environment(env []string) []string {
	for _, fast := range []string{
		"GLIBC_TUNABLES=glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=4294967296:glibc.malloc.top_pad=67108864",
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
