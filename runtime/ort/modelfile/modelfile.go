// Package modelfile reads an ONNX file with distrust, before ONNX Runtime sees it. In goes a path; out comes what the
// file says of itself (metadata, inputs, outputs), or the reason why it must not be loaded:
//
//   - it is no ONNX file, or an ORT-format one, or above protobuf's 2 GiB;
//   - mllm4rec.format or mllm4rec.kind is missing or unknown;
//   - external data lies outside the model's folder (absolute, "..", a symbolic link out, ONNX Runtime's memory
//     addresses), is no regular file, or ends after its file does;
//   - a tensor holds more or fewer bytes than its shape and type say, or a small file asks for a huge allocation;
//   - it nests subgraphs too deep, holds sparse tensors, or nodes that load compiled engines: nothing of ours does.
//
// The walk follows onnx.proto (IR version 10) on the wire, through a window of 64 KiB: weights are stepped over, never
// read, so a file of any size costs no memory. What a graph computes at run time (a shape made by arithmetic, say) it
// cannot foresee.
package modelfile

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"mllm4rec/internal/fail"
)

// Keys of the metadata that every model of ours carries.
const (
	FormatKey = "mllm4rec.format"
	KindKey   = "mllm4rec.kind"
	format    = "1"
)

// maxFile is protobuf's own limit: larger models keep their weights in external data.
const maxFile = 2<<30 - 1

// Info is what a model file says of itself.
type Info struct {
	// Path is the name that the caller gave; File is the same without symbolic links, which is what to open.
	Path, File string
	// Kind is the metadata's mllm4rec.kind.
	Kind            string
	Metadata        map[string]string
	Inputs, Outputs []Value
}

// Value is an input or an output of the graph.
type Value struct {
	Name string
	// Type is the element type as ONNX spells it in small letters ("int64", "float"), or "" for what is no tensor.
	Type string
	// Shape holds a number or a name a dimension, "?" for one that has neither.
	Shape []string
}

// Check walks the file. An error is a usage error that names the file and says what is wrong with it.
func Check(path string) (*Info, error) {
	info, err := check(path)
	if err != nil {
		return nil, fail.Usagef("%s: %w", path, err)
	}
	return info, nil
}

func check(path string) (*Info, error) {
	resolved, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no such file; name an ONNX file that `mllm4rec export` wrote")
	}
	if err != nil {
		return nil, bare(err)
	}
	if strings.EqualFold(filepath.Ext(resolved), ".ort") {
		return nil, fmt.Errorf("this is an ORT-format name; export to ONNX (.onnx) instead")
	}
	if stat, err := os.Stat(resolved); err == nil && !stat.Mode().IsRegular() { // before it is opened: a named pipe would wait for a writer
		return nil, errIrregular
	}
	f, err := os.Open(resolved)
	if err != nil {
		return nil, bare(err)
	}
	defer func() { _ = f.Close() }()
	stat, err := f.Stat()
	if err != nil {
		return nil, bare(err)
	}
	if err := checkSize(stat); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(filepath.Dir(resolved))
	if err != nil {
		return nil, bare(err)
	}
	defer func() { _ = root.Close() }()
	w := walker{in: file{source: f, size: stat.Size()}, folder: root, info: &Info{Path: path, File: resolved, Metadata: map[string]string{}}}
	if err := w.model(); err != nil {
		return nil, err
	}
	return w.info, w.info.checkContract()
}

var errIrregular = errors.New("not a regular file")

func checkSize(stat os.FileInfo) error {
	switch {
	case !stat.Mode().IsRegular():
		return errIrregular
	case stat.Size() == 0:
		return fmt.Errorf("the file is empty")
	case stat.Size() > maxFile:
		return fmt.Errorf("%d bytes, but an ONNX file ends at %d: keep the weights in external data", stat.Size(), int64(maxFile))
	}
	return nil
}

// checkContract refuses, by name, a model that this program does not know.
func (i *Info) checkContract() error {
	switch found, ok := i.Metadata[FormatKey]; {
	case !ok:
		return fmt.Errorf("no model of mllm4rec: its metadata has no %s; make one with `mllm4rec export`", FormatKey)
	case found != format:
		return fmt.Errorf("%s is %q, but this program reads %q: export it again, or use the version that wrote it", FormatKey, found, format)
	}
	i.Kind = i.Metadata[KindKey]
	if known := Kinds(); !slices.Contains(known, i.Kind) {
		return fmt.Errorf("%s is %q, but this program knows %s", KindKey, i.Kind, strings.Join(known, ", "))
	}
	return nil
}

// Kinds returns the values of mllm4rec.kind that this program runs.
func Kinds() []string { return []string{"retriever", "ranker", "captioner"} }

// Int reads a whole number of the metadata, which must lie in low…high.
func (i *Info) Int(key string, low, high int) (int, error) {
	text, ok := i.Metadata[key]
	if !ok {
		return 0, fail.Usagef("%s: its metadata has no %s, only %s", i.Path, key, strings.Join(slices.Sorted(maps.Keys(i.Metadata)), ", "))
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		return 0, fail.Usagef("%s: %s is %q, want a whole number in %d…%d", i.Path, key, text, low, high)
	}
	return n, nil
}

// InputNames are those of Inputs, in order.
func (i *Info) InputNames() []string { return names(i.Inputs) }

// OutputNames are those of Outputs, in order.
func (i *Info) OutputNames() []string { return names(i.Outputs) }

func names(values []Value) []string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = v.Name
	}
	return all
}

// bare drops the operation and path of an error of the os package: the caller names the file.
func bare(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
