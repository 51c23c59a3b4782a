// Command prepare measures the data stage: Amazon 2014 metadata parsed on one core next to Python's eval and pandas, and
// the preparation of generated logs of growing size with its peak memory.
//
//	go run ./bench/prepare                       # metadata, and logs of 1 and 10 million interactions
//	go run ./bench/prepare -logs 1,10,50         # with the big one
//
// Every measurement runs in a process of its own, so that peak memory is its own. Generated files stay in .bench/.
package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

func main() {
	items := flag.Int("items", 40_000, "rows of metadata; 0 for none")
	logs := flag.String("logs", "1,10", "million interactions, comma separated; empty for none")
	dir := flag.String("dir", ".bench/prepare", "folder for generated files")
	child := flag.String("child", "", "measure one thing: metadata or log")
	profile := flag.String("cpuprofile", "", "with -child: write a CPU profile here")
	flag.Parse()
	var err error
	switch {
	case *child != "":
		err = measure(*child, flag.Arg(0), *profile)
	case *items < 0:
		err = fmt.Errorf("-items %d: 0 or more", *items)
	default:
		err = errors.Join(metadata(*dir, *items), preparation(*dir, *logs))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/prepare:", err)
		os.Exit(1)
	}
}

// metadata compares the two ways of reading one file: gzip as it is published, where decompression takes most of our time,
// and its text alone.
func metadata(dir string, items int) error {
	if items == 0 {
		return nil
	}
	for _, form := range []struct{ name, file string }{{"gzip", "meta_Generated.json.gz"}, {"text", "meta_Generated.json"}} {
		folder := filepath.Join(dir, fmt.Sprintf("metadata-%d-%s", items, form.name))
		if err := once(filepath.Join(folder, "ratings_Generated.csv"), func(w io.Writer) error { return writeLog(w, 100) }); err != nil {
			return err
		}
		path := filepath.Join(folder, form.file)
		if err := once(path, func(w io.Writer) error { return writeMetadata(w, items, form.name == "gzip") }); err != nil {
			return err
		}
		fmt.Printf("Amazon 2014 metadata (%s), %d generated rows, one core\n", form.name, items)
		if err := compare(folder, path); err != nil {
			return err
		}
	}
	return nil
}

// compare reads the metadata at path, which lies in folder, in both ways.
func compare(folder, path string) error {
	ours, err := run("metadata", folder, "GOMAXPROCS=1")
	if err != nil {
		return err
	}
	ours.print("mllm4rec", "rows")
	python := cmp.Or(os.Getenv("MLLM4REC_PYTHON"), "python3")
	if err := exec.Command(python, "-c", "import pandas").Run(); err != nil {
		fmt.Printf("  no pandas in %s: no reference to compare with (MLLM4REC_PYTHON names another Python)\n", python)
		return nil
	}
	out, err := exec.Command(python, filepath.Join("bench", "prepare", "reference.py"), path).Output()
	if err != nil {
		return fmt.Errorf("reference.py (run from the repository root): %w", err)
	}
	var reference result
	if _, err := fmt.Sscan(string(out), &reference.seconds, &reference.cpu, &reference.rows, &reference.bytes, &reference.digest); err != nil {
		return err
	}
	reference.print("Python eval + pandas", "rows")
	if ours.digest != reference.digest {
		return fmt.Errorf("the two ways read different things: %s and %s", ours.digest, reference.digest)
	}
	fmt.Printf("  ratio %.1f in CPU time, and both read the same\n", reference.cpu/ours.cpu)
	return nil
}

// preparation prepares logs of several sizes.
func preparation(dir, logs string) error {
	for part := range strings.SplitSeq(logs, ",") {
		if part == "" {
			continue
		}
		millions, err := strconv.Atoi(part)
		if err != nil || millions < 1 {
			return fmt.Errorf("-logs %q: whole numbers of millions, 1 or more", logs)
		}
		folder := filepath.Join(dir, fmt.Sprintf("log-%dm", millions))
		if err := once(filepath.Join(folder, "ratings_Generated.csv"), func(w io.Writer) error { return writeLog(w, millions*1_000_000) }); err != nil {
			return err
		}
		r, err := run("log", folder)
		if err != nil {
			return err
		}
		if millions == 1 || part == strings.Split(logs, ",")[0] {
			fmt.Println("Preparation of generated logs: read, 5-core, ids, sort, tables")
		}
		r.print(fmt.Sprintf("%d million", millions), "interactions")
		fmt.Printf("    %.2f µs of CPU an interaction; peak memory %.1f MB, %.1f bytes an interaction\n",
			r.cpu*1e6/float64(r.rows), float64(r.peak)/1e6, float64(r.peak)/float64(r.rows))
	}
	return nil
}

// result is one measurement.
type result struct {
	seconds float64
	cpu     float64 // seconds of all cores; steadier than seconds when the machine has other things to do
	rows    int64
	bytes   int64 // of text
	digest  string
	peak    int64 // resident bytes
}

func (r result) print(name, unit string) {
	fmt.Printf("  %-22s %8.2f s %8.2f CPU s %10.0f %s/s %7.1f MB/s\n", name, r.seconds, r.cpu, float64(r.rows)/r.seconds, unit, float64(r.bytes)/1e6/r.seconds)
}

// run measures in a child process.
func run(what, folder string, env ...string) (r result, err error) {
	self, err := os.Executable()
	if err != nil {
		return r, err
	}
	cmd := exec.Command(self, "-child", what, folder)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return r, fmt.Errorf("%s of %s: %w", what, folder, err)
	}
	_, err = fmt.Sscan(string(out), &r.seconds, &r.cpu, &r.rows, &r.bytes, &r.digest, &r.peak)
	return r, err
}
