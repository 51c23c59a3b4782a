package doctor

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/cpu"
	"golang.org/x/sys/unix"
)

// machine is where the system tells about itself; tests make their own.
type machine struct {
	// root is "/", below which proc and sys lie.
	root string
	// smi asks NVIDIA's driver for one line a GPU: name, driver version, memory in MiB.
	smi func(ctx context.Context) ([]byte, error)
	// cores and vectors are those of the processor.
	cores   int
	vectors []string
}

func thisMachine() machine {
	return machine{root: "/", smi: nvidiaSMI, cores: runtime.GOMAXPROCS(0), vectors: vectors()}
}

const (
	gib = 1 << 30
	// littleDisk is what a run of 10 million interactions leaves, checkpoints included; littleMemory what training on
	// MovieLens 100K and libtorch itself take.
	littleDisk   = 2 * gib
	littleMemory = 2 * gib
)

// disk looks at the file system that dir is on, or will be.
func disk(dir string) Finding {
	dir, err := filepath.Abs(dir)
	for err == nil {
		if _, err = os.Stat(dir); err == nil || !errors.Is(err, fs.ErrNotExist) {
			break
		}
		dir, err = filepath.Dir(dir), nil
	}
	var stat unix.Statfs_t
	if err == nil {
		err = unix.Statfs(dir, &stat)
	}
	if err != nil {
		return Finding{"free disk", Missing, err.Error(), "runs: nothing can be written"}
	}
	free := int64(stat.Bavail) * stat.Bsize
	f := Finding{"free disk", OK, fmt.Sprintf("%.1f GiB in %s", float64(free)/gib, dir), ""}
	if unix.Access(dir, unix.W_OK) != nil {
		f.State, f.Disables = Missing, "runs: the folder cannot be written to"
	} else if free < littleDisk {
		f.State, f.Disables = Warn, "runs on millions of interactions, which need more than 2 GiB"
	}
	return f
}

// memory tells what is left.
func (m machine) memory() Finding {
	left, detail, err := m.leftMemory()
	if err != nil {
		return Finding{"memory", Warn, err.Error(), "knowing whether training fits"}
	}
	if left < littleMemory {
		return Finding{"memory", Warn, detail, "training with the full softmax over large catalogues (a sampled loss or a smaller batch needs less)"}
	}
	return Finding{"memory", OK, detail, ""}
}

// LeftMemory is what a process can still take, in bytes, and that in words.
func LeftMemory() (bytes int64, detail string, err error) { return thisMachine().leftMemory() }

// leftMemory is what the system has available, or what the control group (a container) leaves if that is less.
func (m machine) leftMemory() (int64, string, error) {
	available, err := m.availableMemory()
	if err != nil {
		return 0, "", err
	}
	if left, ok := m.groupMemory(); ok && left < available {
		return left, fmt.Sprintf("%.1f GiB left of this container's limit", float64(left)/gib), nil
	}
	return available, fmt.Sprintf("%.1f GiB available", float64(available)/gib), nil
}

func (m machine) availableMemory() (int64, error) {
	text, err := os.ReadFile(filepath.Join(m.root, "proc/meminfo"))
	if err != nil {
		return 0, err
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		var kib int64
		if n, _ := fmt.Sscanf(lines.Text(), "MemAvailable: %d kB", &kib); n == 1 {
			return kib << 10, nil
		}
	}
	return 0, errors.New("proc/meminfo does not say what is available")
}

// groupMemory reads the limit of control groups version 2; a container sees its own group as the root. Files that the system
// keeps in memory count as used there, but make way.
func (m machine) groupMemory() (left int64, limited bool) {
	limit, err := m.number("sys/fs/cgroup/memory.max")
	if err != nil {
		return 0, false
	}
	used, err := m.number("sys/fs/cgroup/memory.current")
	text, _ := os.ReadFile(filepath.Join(m.root, "sys/fs/cgroup/memory.stat"))
	for line := range strings.Lines(string(text)) {
		var files int64
		if n, _ := fmt.Sscanf(line, "inactive_file %d", &files); n == 1 {
			used -= files
		}
	}
	return max(limit-used, 0), err == nil
}

func (m machine) number(name string) (int64, error) {
	text, err := os.ReadFile(filepath.Join(m.root, name))
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
}

func (m machine) processor() Finding {
	detail := fmt.Sprintf("%d cores, %s", m.cores, strings.Join(append([]string{runtime.GOARCH}, m.vectors...), ", "))
	if len(m.vectors) == 0 && runtime.GOARCH == "amd64" {
		return Finding{"processor", Warn, detail, "speed: without AVX2 training and inference take several times as long"}
	}
	return Finding{"processor", OK, detail, ""}
}

func vectors() []string {
	var have []string
	for _, v := range []struct {
		name string
		has  bool
	}{{"AVX2", cpu.X86.HasAVX2}, {"AVX-512", cpu.X86.HasAVX512F}, {"AVX-512 VNNI", cpu.X86.HasAVX512VNNI}} {
		if v.has {
			have = append(have, v.name)
		}
	}
	return have
}

// gpu asks nvidia-smi, and where that is not installed looks whether the driver is.
func (m machine) gpu(ctx context.Context) Finding {
	const without = "CUDA and TensorRT; everything runs on the CPU"
	text, err := m.smi(ctx)
	if err == nil && len(bytes.TrimSpace(text)) > 0 {
		return Finding{"GPU", OK, strings.Join(strings.Split(strings.TrimSpace(string(text)), "\n"), "; "), ""}
	}
	driver, driverErr := os.ReadFile(filepath.Join(m.root, "proc/driver/nvidia/version"))
	if driverErr == nil {
		detail := "NVIDIA driver: " + firstLine(string(driver))
		if err != nil {
			detail += "; nvidia-smi: " + err.Error()
		}
		return Finding{"GPU", Warn, detail, "perhaps CUDA: the driver is there, but names no GPU"}
	}
	return Finding{"GPU", Missing, "no NVIDIA driver", without}
}

func nvidiaSMI(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return exec.CommandContext(ctx, "nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader").Output()
}
