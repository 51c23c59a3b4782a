package doctor

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// write makes a file, an executable one, with its folders.
func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// expect compares state and part of the detail, and that disables is said unless the state is ok.
func expect(t *testing.T, got Finding, state State, detail string) {
	t.Helper()
	if got.State != state || !strings.Contains(got.Detail, detail) {
		t.Errorf("got %+v, want %s with %q", got, state, detail)
	}
	if (got.Disables == "") != (state == OK) {
		t.Errorf("%s: state %s, but disables %q", got.Name, got.State, got.Disables)
	}
}

func TestThisMachine(t *testing.T) {
	t.Parallel()
	nowhere := func() (string, string, error) { return "", "", errors.New("no library in .deps") }
	findings := Check(t.Context(), Options{Library: nowhere, Worker: "/nowhere/mllm4rec-train", RunDir: filepath.Join(t.TempDir(), "runs", "x")})
	names := map[string]State{}
	for _, f := range findings {
		names[f.Name] = f.State
		if f.Detail == "" || (f.State != OK && f.Disables == "") {
			t.Errorf("%+v says too little", f)
		}
	}
	if names["ONNX Runtime"] != Missing || names["training worker"] != Missing || names["free disk"] == Missing {
		t.Errorf("got %v", names)
	}
	var text strings.Builder
	if err := Print(&text, findings); err != nil || !strings.Contains(text.String(), "missing  ONNX Runtime     no library in .deps\n                          → candidates") {
		t.Errorf("error %v, text:\n%s", err, &text)
	}
}

func TestLibraryAndProviders(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	find := func() (string, string, error) {
		return filepath.Join(dir, "libonnxruntime.so.1.27.0"), "1.27.0", nil
	}
	write(t, filepath.Join(dir, "libonnxruntime_providers_shared.so"), "")
	expect(t, library(find), OK, "1.27.0, "+dir)
	expect(t, providers(find, false), OK, "cpu")
	expect(t, providers(find, true), Warn, "cpu")
	write(t, filepath.Join(dir, "libonnxruntime_providers_cuda.so"), "")
	expect(t, providers(find, true), OK, "cpu, cuda")
}

// Not parallel: a fork beside it could hold a script open for writing, which must not be run then.
func TestWorker(t *testing.T) {
	cases := []struct {
		name, script string
		state        State
		detail       string
	}{
		{"knows its usage", "#!/bin/sh\nexit 2\n", OK, "libtorch loads"},
		{"lacks a library", "#!/bin/sh\necho 'error while loading shared libraries: libtorch_cpu.so' >&2\nexit 127\n", Missing, "libtorch_cpu.so"},
		{"another program", "#!/bin/sh\nexit 0\n", Missing, "another program"},
		{"crashes", "#!/bin/sh\nkill -SEGV $$\n", Missing, "segmentation fault"},
		{"no program", "not executable by any loader", Missing, "exec format"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := write(t, filepath.Join(t.TempDir(), "worker"), c.script)
			expect(t, machine{}.worker(t.Context(), path), c.state, c.detail)
		})
	}
}

func TestMemory(t *testing.T) {
	t.Parallel()
	const plenty = "MemTotal: 25165824 kB\nMemAvailable:   20971520 kB\n"
	cases := []struct {
		name, meminfo, limit string
		state                State
		detail               string
	}{
		{"plenty", plenty, "", OK, "20.0 GiB available"},
		{"no limit", plenty, "max\n", OK, "20.0 GiB available"},
		{"little", "MemAvailable: 1048576 kB\n", "", Warn, "1.0 GiB available"},
		{"container", plenty, "2147483648\n", Warn, "1.5 GiB left of this container's limit"},
		{"wide container", plenty, "8589934592\n", OK, "7.5 GiB left"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := machine{root: t.TempDir()}
			write(t, filepath.Join(m.root, "proc/meminfo"), c.meminfo)
			if c.limit != "" {
				write(t, filepath.Join(m.root, "sys/fs/cgroup/memory.max"), c.limit)
				write(t, filepath.Join(m.root, "sys/fs/cgroup/memory.current"), "1610612736\n")
				write(t, filepath.Join(m.root, "sys/fs/cgroup/memory.stat"), "anon 1\ninactive_file 1073741824\n")
			}
			expect(t, m.memory(), c.state, c.detail)
		})
	}
}

func TestProcessor(t *testing.T) {
	t.Parallel()
	if runtime.GOARCH != "amd64" {
		t.Skip("vector units are looked at on amd64 only")
	}
	expect(t, machine{cores: 2, vectors: []string{"AVX2"}}.processor(), OK, "2 cores, amd64, AVX2")
	expect(t, machine{cores: 2}.processor(), Warn, "2 cores")
}

func TestGPU(t *testing.T) {
	t.Parallel()
	absent := func(context.Context) ([]byte, error) { return nil, errors.New("not found") }
	present := func(context.Context) ([]byte, error) {
		return []byte("H200, 570.1, 143771 MiB\nH200, 570.1, 143771 MiB\n"), nil
	}
	m := machine{root: t.TempDir(), smi: absent}
	expect(t, m.gpu(t.Context()), Missing, "no NVIDIA driver")
	write(t, filepath.Join(m.root, "proc/driver/nvidia/version"), "NVRM version: 570.1\nGCC\n")
	expect(t, m.gpu(t.Context()), Warn, "NVRM version: 570.1; nvidia-smi: not found")
	m.smi = present
	expect(t, m.gpu(t.Context()), OK, "H200, 570.1, 143771 MiB; H200")
}

func TestDiskThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	expect(t, disk("/proc/sys/runs"), Missing, "/proc/sys")
}
