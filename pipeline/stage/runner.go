package stage

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mllm4rec/internal/atomicfile"
	"mllm4rec/internal/fail"
)

// Runner runs stages in one run folder, whose Lock the caller holds.
type Runner struct {
	// Dir is the run folder.
	Dir string
	// From and Until name the first and the last stage to look at; empty means all. Those before From must have run.
	From, Until string
	// Force names stages that begin anew, whether or not they are up to date. After an interruption the same Force goes on
	// where the run was: it begins a stage once until a run comes to its end.
	Force []string
	// Begin is called once, when all is checked and before the first stage that must run, with the Room of that stage and
	// those after it. nil means nothing.
	Begin func(room int64) error
	// Log is told what happens.
	Log *slog.Logger

	manifest *manifest
	hasher   *hasher
}

// CheckNames refuses names of stages that are none, without looking at the run folder, which need not be there yet.
func (r *Runner) CheckNames(stages []Stage) error {
	_, _, err := r.window(stages)
	return err
}

// Run brings the stages up to date, in order. The outcomes of the stages before an error are returned with it.
func (r *Runner) Run(ctx context.Context, stages []Stage) ([]Outcome, error) {
	first, last, err := r.window(stages)
	if err != nil {
		return nil, err
	}
	if err := r.open(); err != nil {
		return nil, err
	}
	for _, s := range stages[:first] {
		if err := r.mustHaveRun(ctx, s, stages[first].Name); err != nil {
			return nil, err
		}
	}
	stale, err := r.check(ctx, stages[first:last+1])
	if err == nil && len(stale) > 0 && r.Begin != nil {
		err = r.Begin(room(stale))
	}
	if err != nil {
		return nil, err
	}
	var outcomes []Outcome
	for i, s := range stages {
		outcome := Outcome{Stage: s.Name, Status: PassedOver}
		if first <= i && i <= last {
			if outcome, err = r.stage(ctx, s); err != nil {
				return outcomes, explain(s, r.Dir, err)
			}
		}
		outcomes = append(outcomes, outcome)
	}
	return outcomes, r.manifest.end()
}

// check looks for what the stages will need, from the first one on that is not up to date, and returns those.
func (r *Runner) check(ctx context.Context, stages []Stage) (stale []Stage, err error) {
	first := slices.IndexFunc(stages, func(s Stage) bool {
		next, err := r.describe(ctx, s)
		if err != nil {
			return true
		}
		why, err := r.reason(ctx, s, next)
		return why != "" || err != nil
	})
	if first < 0 {
		return nil, ctx.Err()
	}
	for _, s := range stages[first:] {
		if s.Check != nil {
			if err := s.Check(); err != nil {
				return nil, explain(s, r.Dir, err)
			}
		}
	}
	return stages[first:], ctx.Err()
}

// room is about how many bytes the stages write.
func room(stages []Stage) (total int64) {
	for _, s := range stages {
		total += s.Room
	}
	return total
}

// window turns From and Until into indices, and refuses names that are no stages, and to force a stage that is left out.
func (r *Runner) window(stages []Stage) (first, last int, err error) {
	index := func(flag, name string, otherwise int) int {
		i := slices.IndexFunc(stages, func(s Stage) bool { return s.Name == name })
		if name == "" {
			return otherwise
		}
		if i < 0 && err == nil {
			err = fail.Usagef("%s %s: no such stage; there are %s", flag, name, names(stages))
		}
		return i
	}
	first, last = index("--from", r.From, 0), index("--until", r.Until, len(stages)-1)
	if err == nil && first > last {
		err = fail.Usagef("--from %s comes after --until %s", r.From, r.Until)
	}
	for _, name := range r.Force {
		if i := index("--force", name, first); err == nil && (i < first || i > last) {
			err = fail.Usagef("--force %s: --from and --until leave that stage out", name)
		}
	}
	return first, last, err
}

// open reads the manifest and clears away what killed runs left half written.
func (r *Runner) open() error {
	m, damaged, err := readManifest(r.Dir)
	if err != nil {
		return err
	}
	if damaged {
		r.Log.Warn("manifest.json is damaged: every stage runs again", "path", m.path)
	}
	r.manifest, r.hasher = m, newHasher(r.Dir, m)
	return atomicfile.Sweep(r.Dir)
}

// mustHaveRun makes sure that a stage before from has left its files. Where it would write others now, the log says so.
func (r *Runner) mustHaveRun(ctx context.Context, s Stage, from string) error {
	if _, unfinished := r.manifest.Pending[s.Name]; unfinished {
		return fail.Usagef("%s needs what %s writes, which was stopped half-way: run that first", from, s.Name)
	}
	for _, path := range r.outputs(s) {
		if _, err := os.Stat(path); err != nil {
			return fail.Usagef("%s needs %s, which %s writes: run that first", from, path, s.Name)
		}
	}
	next, err := r.describe(ctx, s)
	if err != nil {
		return ctx.Err() // its inputs may be gone: its outputs are what counts here
	}
	if why, err := r.reason(ctx, s, next); err == nil && why != "" {
		r.Log.Warn("its files are used as they are, though it would run again", "stage", s.Name, "why", why)
	}
	return ctx.Err()
}

// stage brings one stage up to date.
func (r *Runner) stage(ctx context.Context, s Stage) (Outcome, error) {
	if err := ctx.Err(); err != nil {
		return Outcome{}, err
	}
	next, err := r.describe(ctx, s)
	if err != nil {
		return Outcome{}, err
	}
	why, err := r.reason(ctx, s, next)
	if err != nil {
		return Outcome{}, err
	}
	if why == "" {
		r.Log.Info("up to date", "stage", s.Name)
		return Outcome{Stage: s.Name, Status: UpToDate}, nil
	}
	if err := r.execute(ctx, s, &next, why); err != nil {
		return Outcome{}, err
	}
	return Outcome{Stage: s.Name, Status: Ran, Why: why, Seconds: next.Seconds}, nil
}

// execute runs the stage and records it.
func (r *Runner) execute(ctx context.Context, s Stage, next *record, why string) error {
	if !r.goesOn(s, *next) || why == forced {
		if err := r.dropPartial(s); err != nil {
			return err
		}
	}
	if err := r.manifest.begin(s.Name, *next, why == forced); err != nil {
		return err
	}
	r.Log.Info("start", "stage", s.Name, "why", why)
	next.Started = time.Now().UTC()
	if err := s.Run(ctx); err != nil {
		return err
	}
	next.Seconds = time.Since(next.Started).Seconds()
	paths := r.outputs(s)
	if s.Found != nil {
		found, err := s.Found()
		if err != nil {
			return err
		}
		paths = append(paths, found...)
	}
	outputs, err := r.hasher.files(ctx, paths)
	if err != nil {
		return fmt.Errorf("the stage ended without all its files: %w", err)
	}
	next.Outputs = outputs
	r.Log.Info("done", "stage", s.Name, "seconds", next.Seconds)
	return r.manifest.finish(s.Name, *next)
}

// goesOn reports whether half-done work, or what a finished stage left of it, is of use.
func (r *Runner) goesOn(s Stage, next record) bool {
	if r.manifest.Pending[s.Name] == next.Fingerprint {
		return true
	}
	was, known := r.manifest.Stages[s.Name]
	if !known {
		was, known = r.manifest.Begun[s.Name]
	}
	return known && s.GoesOn != nil && was.Version == s.Version && was.Fingerprint != next.Fingerprint &&
		fingerprint(s, next.Config, was.Inputs) == next.Fingerprint && s.GoesOn(was.Config)
}

// dropPartial removes half-done work, and says so where somebody might miss it: what an interrupted run left, not what a
// finished one did.
func (r *Runner) dropPartial(s Stage) error {
	_, interrupted := r.manifest.Pending[s.Name]
	if err := r.manifest.drop(s.Name); err != nil {
		return err
	}
	var dropped []string
	for _, name := range s.Partial {
		path := filepath.Join(r.Dir, name)
		if _, err := os.Lstat(path); err == nil {
			dropped = append(dropped, name)
		}
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	if interrupted && len(dropped) > 0 {
		r.Log.Warn("half-done work is dropped, the stage begins anew", "stage", s.Name, "dropped", joinWords(dropped))
	}
	return nil
}

func (r *Runner) outputs(s Stage) []string {
	paths := make([]string, len(s.Outputs))
	for i, name := range s.Outputs {
		if paths[i] = name; !filepath.IsAbs(name) {
			paths[i] = filepath.Join(r.Dir, name)
		}
	}
	return paths
}

func names(stages []Stage) string {
	var all []string
	for _, s := range stages {
		all = append(all, s.Name)
	}
	return joinWords(all)
}

func joinWords(words []string) string { return strings.Join(words, ", ") }
