// Package stage runs the stages of a run folder and makes them resumable. A stage says what it reads, what it writes and
// what of the recipe it depends on; its fingerprint is the hash of that. manifest.json remembers the fingerprint of every
// finished stage and its files, so that a stage runs again only when something that it depends on has changed, or when its
// files are gone or damaged. A kill at any instant costs at most the stage that was running.
package stage

import (
	"context"
	"encoding/json"
	"time"
)

// Stage is one step of a run.
type Stage struct {
	// Name is what the command line calls it.
	Name string
	// Version grows when the same config and inputs give other outputs than before.
	Version int
	// Config is what of the recipe the outputs depend on; it is compared as JSON.
	Config any
	// Inputs are paths of files. Their contents count, not their names or times. It is called when the stages before have
	// run; nil means none.
	Inputs func() ([]string, error)
	// Outputs are the files that the stage writes: names in the run folder, or absolute paths.
	Outputs []string
	// Found names outputs that are known only when Run has ended (what an archive held); nil means none.
	Found func() ([]string, error)
	// Partial is half-done work in the run folder (a checkpoint) from which Run goes on by itself. It is removed when the
	// stage starts with another fingerprint than the work was begun with, unless GoesOn, and when it is forced. Work that a
	// forced run began stays: the same command, given again after an interruption, goes on from it.
	Partial []string
	// GoesOn reports whether Run goes on from such work, and from what a finished stage left of it, although it was begun with
	// another Config, given as JSON: one that differs in nothing but when the work ends. nil means never.
	GoesOn func(was json.RawMessage) bool
	// Room is about how many bytes Run writes into the run folder.
	Room int64
	// Check looks for everything that Run will need; it is called before the first stage starts. nil means nothing.
	Check func() error
	// Run does the work. It writes atomically and returns soon after ctx is cancelled.
	Run func(ctx context.Context) error
}

// Statuses of an Outcome.
const (
	// Ran means that the stage did its work.
	Ran = "ran"
	// UpToDate means that its outputs are those of the same config and inputs.
	UpToDate = "up to date"
	// PassedOver means that --from or --until left it out.
	PassedOver = "passed over"
)

// Outcome tells what became of a stage.
type Outcome struct {
	Stage  string `json:"stage"`
	Status string `json:"status"`
	// Why says in words why the stage ran.
	Why string `json:"why,omitempty"`
	// Seconds is how long it ran this time.
	Seconds float64 `json:"seconds"`
}

// Duration is Seconds, for people.
func (o Outcome) Duration() time.Duration {
	return time.Duration(o.Seconds * float64(time.Second)).Round(10 * time.Millisecond)
}
