package lrurec

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"unsafe"

	"mllm4rec/export/weights"
	"mllm4rec/pipeline/worker"
)

// state is where a run stands. Data order, dropout and negatives depend on seed and step only, so this and the weights
// with their moments are all that a resumed run needs to give the same bits.
type state struct {
	Step int `json:"step"`
	// Validated is the last step that was validated.
	Validated int `json:"validated"`
	// BestStep, Best and Stale (validations since) belong to checkpoint/best-STEP.safetensors.
	BestStep int                `json:"best_step"`
	Best     map[string]float64 `json:"best"`
	Stale    int                `json:"stale"`
	// LossSum and LossSteps are what the next line of the log averages.
	LossSum   float64 `json:"loss_sum"`
	LossSteps int     `json:"loss_steps"`
	Seconds   float64 `json:"seconds"`
	// Reason is set once the run has ended.
	Reason string `json:"reason,omitempty"`
}

// checkpoint is the folder checkpoint/: last.safetensors (weights, moments, average, state) and the best weights so far. The best
// are written first under a name with their step, so that last always finds what it speaks of.
type checkpoint struct {
	dir         string
	fingerprint string
}

// newCheckpoint is that of a spec and its data: another spec or other data do not resume from it.
func newCheckpoint(spec worker.RetrieverSpec, data *sequences) (*checkpoint, error) {
	dir := filepath.Join(spec.Out, "checkpoint")
	spec.Sequences, spec.Out, spec.MaxMinutes, spec.CheckpointEvery, spec.LogEvery, spec.Patience = "", "", 0, 0, 0, 0
	if spec.Schedule == "constant" {
		spec.MaxSteps = 0
	}
	text, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(append(text, data.digest...))
	return &checkpoint{dir: dir, fingerprint: hex.EncodeToString(sum[:])}, nil
}

func (c *checkpoint) last() string { return filepath.Join(c.dir, "last.safetensors") }

func (c *checkpoint) best(step int) string {
	return filepath.Join(c.dir, fmt.Sprintf("best-%09d.safetensors", step))
}

// tensors are the weights, moments and average as they lie in memory.
func (c *checkpoint) tensors(m *Model, s *moments, a *average) []weights.Tensor {
	if a == nil {
		a = &average{}
	}
	var tensors []weights.Tensor
	for name, values := range map[string][]float32{
		"table": m.table.Data, "table.first": s.table[0], "table.second": s.table[1],
		"bias": m.itemBias, "bias.first": s.bias[0], "bias.second": s.bias[1],
		"dense": m.dense.Data, "dense.first": s.dense[0], "dense.second": s.dense[1],
		"table.average": a.table, "bias.average": a.bias, "dense.average": a.dense,
		"table.last": bits(s.last), "bias.last": bits(s.lastBias),
	} {
		if values != nil {
			tensors = append(tensors, view(name, values, int64(len(values))))
		}
	}
	return tensors
}

// bits shows integers as the floats with the same bits, which is how they are stored.
func bits(values []int32) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(values))), len(values))
}

// save writes last.safetensors and then removes best weights that it does not speak of.
func (c *checkpoint) save(m *Model, s *moments, a *average, state state) error {
	text, err := json.Marshal(state)
	if err != nil {
		return err
	}
	err = weights.Write(c.last(), c.tensors(m, s, a), map[string]string{"state": string(text), "fingerprint": c.fingerprint})
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	old, err := filepath.Glob(filepath.Join(c.dir, "best-*.safetensors"))
	for _, path := range old {
		if path != c.best(state.BestStep) {
			err = errors.Join(err, os.Remove(path))
		}
	}
	return err
}

// load fills model, moments and average from last.safetensors. Without one, or with one of another spec or other data, it returns a
// fresh state and, for the latter, a note.
func (c *checkpoint) load(m *Model, s *moments, a *average) (state, string, error) {
	fresh := state{Best: map[string]float64{}}
	if _, err := os.Stat(c.last()); errors.Is(err, fs.ErrNotExist) {
		return fresh, "", nil
	}
	file, err := weights.Open(c.last())
	if err != nil {
		return fresh, "", fmt.Errorf("%w (delete the folder %s to train anew)", err, c.dir)
	}
	defer func() { _ = file.Close() }()
	if file.Metadata()["fingerprint"] != c.fingerprint {
		return fresh, "the checkpoint in " + c.dir + " belongs to other settings or data; training anew", nil
	}
	saved := fresh
	if err := json.Unmarshal([]byte(file.Metadata()["state"]), &saved); err != nil {
		return fresh, "", fmt.Errorf("%s: state: %w", c.last(), err)
	}
	for _, tensor := range c.tensors(m, s, a) {
		stored, err := file.Tensor(tensor.Name)
		if err != nil {
			return fresh, "", err
		}
		if len(stored.Data) != len(tensor.Data) {
			return fresh, "", fmt.Errorf("%s: tensor %s has %d bytes, want %d", c.last(), tensor.Name, len(stored.Data), len(tensor.Data))
		}
		copy(tensor.Data, stored.Data)
	}
	return saved, "", nil
}
