// Package doctor looks at what a machine has and says what each missing thing disables. It changes nothing.
package doctor

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// State says how one thing is.
type State string

const (
	// OK is there and enough.
	OK State = "ok"
	// Warn is there, but little or slow.
	Warn State = "warn"
	// Missing is not there or cannot be used.
	Missing State = "missing"
)

// Finding is what was seen of one thing.
type Finding struct {
	Name  string `json:"name"`
	State State  `json:"state"`
	// Detail is what was found, with versions, paths and units, or why not.
	Detail string `json:"detail"`
	// Disables is what does not work, or works worse, for want of it, and how to mend that; empty if State is OK.
	Disables string `json:"disables,omitempty"`
}

// Options say where to look.
type Options struct {
	// Library finds the ONNX Runtime library and its version (ort.FindLibrary, ort.LibraryVersion).
	Library func() (path, version string, err error)
	// Worker is the path of mllm4rec-train.
	Worker string
	// RunDir is the folder that runs are written to; it need not exist yet.
	RunDir string
	// Terminal says that progress goes to a terminal.
	Terminal bool
}

// Check looks at everything, in the order of the table that Print makes. Each look takes a few seconds at most.
func Check(ctx context.Context, o Options) []Finding {
	return thisMachine().check(ctx, o)
}

func (m machine) check(ctx context.Context, o Options) []Finding {
	gpu := m.gpu(ctx)
	return []Finding{
		library(o.Library),
		providers(o.Library, gpu.State == OK),
		m.worker(ctx, o.Worker),
		disk(o.RunDir),
		m.memory(),
		m.processor(),
		gpu,
		terminal(o.Terminal),
	}
}

// Print writes findings as a table, what is disabled below each line that is not ok.
func Print(w io.Writer, findings []Finding) error {
	width := 0
	for _, f := range findings {
		width = max(width, len(f.Name))
	}
	var text strings.Builder
	for _, f := range findings {
		fmt.Fprintf(&text, "%-8s %-*s  %s\n", f.State, width, f.Name, f.Detail)
		if f.Disables != "" {
			fmt.Fprintf(&text, "%-8s %-*s  → %s\n", "", width, "", f.Disables)
		}
	}
	_, err := io.WriteString(w, text.String())
	return err
}

func terminal(is bool) Finding {
	if is {
		return Finding{"terminal", OK, "progress bars", ""}
	}
	return Finding{"terminal", OK, "none: progress is printed as plain lines", ""}
}
