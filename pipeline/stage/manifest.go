package stage

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"mllm4rec/internal/atomicfile"
)

// manifestName is the manifest in a run folder; manifestFormat is its version.
const (
	manifestName   = "manifest.json"
	manifestFormat = 1
)

// manifest is what manifest.json holds.
type manifest struct {
	Format int `json:"format"`
	// Stages holds the finished stages.
	Stages map[string]record `json:"stages"`
	// Pending holds the fingerprint that an unfinished stage was begun with; empty while half-done work of it is dropped.
	Pending map[string]string `json:"pending,omitempty"`
	// Begun holds the settings and inputs that an unfinished stage was begun with.
	Begun map[string]record `json:"begun,omitempty"`
	// Forced holds the stages that were begun because they were forced, by a run that has not come to its end yet: given
	// again, it goes on and does not begin them once more.
	Forced map[string]bool `json:"forced,omitempty"`
	path   string
}

// record is one finished stage.
type record struct {
	Fingerprint string          `json:"fingerprint"`
	Version     int             `json:"version"`
	Config      json.RawMessage `json:"config"`
	Inputs      []file          `json:"inputs"`
	Outputs     []file          `json:"outputs"`
	Started     time.Time       `json:"started"`
	Seconds     float64         `json:"seconds"`
}

// readManifest reads the manifest of dir. A missing one is empty. One that cannot be read is an error with damaged true:
// as it is written atomically, something else than a crash changed it.
func readManifest(dir string) (m *manifest, damaged bool, err error) {
	m = &manifest{Format: manifestFormat, path: filepath.Join(dir, manifestName)}
	data, err := os.ReadFile(m.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, false, err
	default:
		var read manifest
		if err := json.Unmarshal(data, &read); err != nil || read.Format < 1 {
			damaged = true
		} else if read.Format > manifestFormat {
			return nil, false, fmt.Errorf("%s has format %d, this program knows %d: use the newer program, or another run folder", m.path, read.Format, manifestFormat)
		} else {
			m.Stages, m.Pending, m.Begun, m.Forced = read.Stages, read.Pending, read.Begun, read.Forced
		}
	}
	if m.Stages == nil {
		m.Stages = map[string]record{}
	}
	if m.Pending == nil {
		m.Pending = map[string]string{}
	}
	if m.Begun == nil {
		m.Begun = map[string]record{}
	}
	if m.Forced == nil {
		m.Forced = map[string]bool{}
	}
	return m, damaged, nil
}

func (m *manifest) save() error {
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(m.path, append(data, '\n'))
}

// begin notes that a stage starts: until finish, its files may be of two minds.
func (m *manifest) begin(name string, with record, forced bool) error {
	delete(m.Stages, name)
	m.Pending[name], m.Begun[name] = with.Fingerprint, with
	if forced {
		m.Forced[name] = true
	}
	return m.save()
}

// drop notes that half-done work of a stage goes: a kill amid the removal must leave nothing that old settings would go on with.
func (m *manifest) drop(name string) error {
	delete(m.Stages, name)
	delete(m.Begun, name)
	m.Pending[name] = ""
	return m.save()
}

func (m *manifest) finish(name string, r record) error {
	delete(m.Pending, name)
	delete(m.Begun, name)
	m.Stages[name] = r
	return m.save()
}

// end notes that a run has come to its end: whoever forces a stage from now on wants it anew.
func (m *manifest) end() error {
	if len(m.Forced) == 0 {
		return nil
	}
	clear(m.Forced)
	return m.save()
}

// Times tells how long each finished stage of a run folder took when it last ran.
func Times(dir string) (map[string]time.Duration, error) {
	m, _, err := readManifest(dir)
	if err != nil {
		return nil, err
	}
	times := map[string]time.Duration{}
	for name, r := range m.Stages {
		times[name] = time.Duration(r.Seconds * float64(time.Second))
	}
	return times, nil
}
