package stage

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
)

// describe makes the record that the stage would have if it ran now, without its outputs.
func (r *Runner) describe(ctx context.Context, s Stage) (record, error) {
	config, err := json.Marshal(s.Config)
	if err != nil {
		return record{}, err
	}
	var paths []string
	if s.Inputs != nil {
		if paths, err = s.Inputs(); err != nil {
			return record{}, err
		}
	}
	inputs, err := r.hasher.files(ctx, paths)
	if err != nil {
		return record{}, err
	}
	return record{Fingerprint: fingerprint(s, config, inputs), Version: s.Version, Config: config, Inputs: inputs}, nil
}

// forced is the reason of a stage that would not run by itself.
const forced = "forced"

// forces reports whether the stage is to begin anew. One that this command has begun already, before it was interrupted,
// is not.
func (r *Runner) forces(s Stage) bool {
	return slices.Contains(r.Force, s.Name) && !r.manifest.Forced[s.Name]
}

// reason says why the stage must run; empty means that it need not.
func (r *Runner) reason(ctx context.Context, s Stage, next record) (string, error) {
	old, finished := r.manifest.Stages[s.Name]
	switch {
	case r.forces(s):
		return forced, nil
	case !finished && r.manifest.Pending[s.Name] == next.Fingerprint:
		return "goes on where it was stopped", nil
	case !finished && r.manifest.Pending[s.Name] != "":
		return "was stopped, and its settings or inputs changed since", nil
	case !finished:
		return "has not run yet", nil
	case old.Fingerprint != next.Fingerprint:
		return changed(old, s, next.Config, next.Inputs), nil
	}
	for _, was := range old.Outputs {
		is, err := r.hasher.file(ctx, r.hasher.path(was.Path))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return was.Path + " is gone", nil
		case err != nil:
			return "", err
		case is.SHA256 != was.SHA256:
			return was.Path + " is not what the stage wrote", nil
		}
	}
	return "", nil
}
