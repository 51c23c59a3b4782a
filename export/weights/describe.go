package weights

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
)

// description is the JSON form of Describe.
type description struct {
	Format   string            `json:"format"`
	Metadata map[string]string `json:"metadata,omitempty"`
	Bytes    int64             `json:"bytes"`
	Tensors  []describedTensor `json:"tensors"`
}

type describedTensor struct {
	Name  string  `json:"name"`
	DType DType   `json:"dtype"`
	Shape []int64 `json:"shape"`
	Bytes int64   `json:"bytes"`
}

// Describe writes what the safetensors file at path holds: its metadata and its tensors, one a line, or all of it as
// one JSON object. It reads the header only.
func Describe(w io.Writer, path string, asJSON bool) error {
	f, err := Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	d := f.describe()
	if asJSON {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(d)
	}
	return d.print(w)
}

func (f *File) describe() description {
	d := description{Format: "safetensors", Metadata: f.metadata, Tensors: []describedTensor{}}
	for _, name := range f.Names() {
		info := f.tensors[name]
		d.Bytes += info.Bytes()
		d.Tensors = append(d.Tensors, describedTensor{name, info.DType, info.Shape, info.Bytes()})
	}
	return d
}

// print quotes metadata, which may hold anything, and tensor names that would disturb a terminal.
func (d description) print(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "%s, %d tensors, %d bytes of weights\n", d.Format, len(d.Tensors), d.Bytes)
	for _, key := range slices.Sorted(maps.Keys(d.Metadata)) {
		fmt.Fprintf(table, "metadata %q = %q\n", key, d.Metadata[key])
	}
	for _, t := range d.Tensors {
		fmt.Fprintf(table, "%q\t%s\t%v\t%d bytes\n", t.Name, t.DType, t.Shape, t.Bytes)
	}
	return table.Flush()
}
