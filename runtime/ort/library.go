package ort

import (
	"debug/elf"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"mllm4rec/internal/fail"
	"mllm4rec/internal/glob"
)

// LibraryVariable names the environment variable that holds the path of libonnxruntime or of its folder.
const LibraryVariable = "MLLM4REC_ORT_LIBRARY"

// The binding asks for C API 24, which ONNX Runtime answers from 1.24 on; 1.27.0 is what `make deps` brings.
const (
	oldestMinor = 24
	wanted      = "1.27.0"
)

// FindLibrary returns the path of the ONNX Runtime library. It takes option where that is not empty, else the
// environment variable MLLM4REC_ORT_LIBRARY, else the first it finds beside the binary, in ../lib of it, and in
// .deps/onnxruntime/capi of the binary's folder, of the one above, and of the working folder.
func FindLibrary(option string) (string, error) {
	for _, named := range []struct{ from, path string }{{"library", option}, {LibraryVariable, os.Getenv(LibraryVariable)}} {
		if named.path == "" {
			continue
		}
		if found := libraryAt(named.path); found != "" {
			return found, nil
		}
		return "", fail.Usagef("%s: %s holds no %s: give the path of the ONNX Runtime library or of its folder", named.from, named.path, libraryName())
	}
	places := libraryPlaces()
	for _, dir := range places {
		if found := libraryAt(dir); found != "" {
			return found, nil
		}
	}
	return "", fail.Usagef("no ONNX Runtime library (%s) in %s: run `make deps`, or set %s to where it is", libraryName(), strings.Join(places, ", "), LibraryVariable)
}

// Check finds out what can be known without a model: that there is a library whose version will do, and with Strict that
// it has the providers. It is for a run that opens its models only later; without Strict it loads nothing.
func Check(o Options) (err error) {
	path, err := FindLibrary(o.Library)
	if err != nil {
		return err
	}
	if err := errors.Join(checkDevice(o.Device), checkVersion(path)); err != nil || !o.Strict {
		return err
	}
	if err := start(o.Library); err != nil {
		return err
	}
	defer keepSignals()()
	options, err := sessionOptions(o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, options.Destroy()) }()
	if err := appendProviders(options, o.Providers, o.Device, nil); err != nil {
		return fail.Usagef("%w; take it out of runtime.providers, or set runtime.strict to false", err)
	}
	return nil
}

func libraryPlaces() []string {
	var places []string
	deps := filepath.Join(".deps", "onnxruntime", "capi")
	if binary, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(binary); err == nil {
			binary = real
		}
		dir := filepath.Dir(binary)
		places = append(places, dir, filepath.Join(dir, "..", "lib"), filepath.Join(dir, deps), filepath.Join(dir, "..", deps))
	}
	return append(places, deps)
}

func libraryName() string {
	if runtime.GOOS == "darwin" {
		return "libonnxruntime.dylib"
	}
	return "libonnxruntime.so"
}

// libraryAt returns the library that path is, or the newest in the folder that path is, or "".
func libraryAt(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	if !info.IsDir() {
		return path
	}
	pattern := "libonnxruntime.so*"
	if runtime.GOOS == "darwin" {
		pattern = "libonnxruntime*.dylib"
	}
	found, err := glob.In(path, pattern)
	if err != nil || len(found) == 0 {
		return ""
	}
	return slices.MaxFunc(found, func(a, b string) int { return slices.Compare(numbers(a), numbers(b)) })
}

// numbers are those of a version at the end of a name: libonnxruntime.so.1.27.0 gives 1, 27, 0.
func numbers(name string) []int {
	var all []int
	for part := range strings.SplitSeq(filepath.Base(name), ".") {
		if n, err := strconv.Atoi(part); err == nil {
			all = append(all, n)
		}
	}
	return all
}

// LibraryVersion reads the version of ONNX Runtime from the symbol versions of an ELF library ("VERS_1.27.0"), without
// running a line of it. It is "" for a file that has none, such as a macOS library.
func LibraryVersion(path string) (string, error) {
	f, err := elf.Open(path)
	if err != nil {
		if runtime.GOOS != "linux" {
			return "", nil
		}
		return "", fail.Usagef("%s: no shared library for this machine (%w): give the path of the ONNX Runtime library or of its folder", path, err)
	}
	defer func() { _ = f.Close() }()
	symbols, err := f.DynamicSymbols()
	if err != nil || !slices.ContainsFunc(symbols, func(s elf.Symbol) bool { return s.Name == "OrtGetApiBase" }) {
		return "", fail.Usagef("%s: a shared library, but not ONNX Runtime: give the path of its library or of its folder", path)
	}
	versions, err := f.DynamicVersions()
	if err != nil {
		return "", nil
	}
	for _, v := range versions {
		if version, ok := strings.CutPrefix(v.Name, "VERS_"); ok {
			return version, nil
		}
	}
	return "", nil
}

// checkVersion explains a library that the binding would refuse with a number, or crash on.
func checkVersion(path string) error {
	version, err := LibraryVersion(path)
	if err != nil {
		return err
	}
	n := numbers(version)
	if len(n) >= 2 && (n[0] != 1 || n[1] < oldestMinor) {
		return fail.Usagef("%s is ONNX Runtime %s, but 1.%d or later is needed (best %s): run `make deps`, or point %s at another one",
			path, version, oldestMinor, wanted, LibraryVariable)
	}
	return nil
}
