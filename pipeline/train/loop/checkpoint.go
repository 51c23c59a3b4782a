package loop

import (
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

// State is where a run stands. What a task does in a step depends on the step and its seed only, so this and the task's
// tensors are all that a resumed run needs to give the same bits.
type State struct {
	Step int `json:"step"`
	// Validated is the last step that was validated; -1 at first where a run begins with a validation.
	Validated int `json:"validated"`
	// BestStep, Best and Stale (validations since) belong to checkpoint/best-STEP.safetensors; Best is empty before there is one.
	BestStep int                `json:"best_step"`
	Best     map[string]float64 `json:"best"`
	Stale    int                `json:"stale"`
	// LossSum and LossSteps are what the next line of the log averages.
	LossSum   float64 `json:"loss_sum"`
	LossSteps int     `json:"loss_steps"`
	Seconds   float64 `json:"seconds"`
	// Reason is set once the run has ended: "max_steps", "max_minutes" or "patience". Bounds are those that ended it: under
	// others it goes on.
	Reason string        `json:"reason,omitempty"`
	Bounds worker.Bounds `json:"bounds"`
}

// checkpoint is the folder checkpoint/: last.safetensors (the task's tensors and the state) and the best weights so far. The
// best are written first under a name with their step, so that last always finds what it speaks of.
type checkpoint struct{ dir, fingerprint string }

func (c *checkpoint) last() string { return filepath.Join(c.dir, "last.safetensors") }

func (c *checkpoint) best(step int) string {
	return filepath.Join(c.dir, fmt.Sprintf("best-%09d.safetensors", step))
}

// save writes last.safetensors and then removes best weights that it does not speak of.
func (c *checkpoint) save(tensors []weights.Tensor, state State) error {
	text, err := json.Marshal(state)
	if err != nil {
		return err
	}
	err = weights.Write(c.last(), tensors, map[string]string{"state": string(text), "fingerprint": c.fingerprint})
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	old, err := fs.Glob(os.DirFS(c.dir), "best-*.safetensors") // the folder's own name is no pattern
	for _, name := range old {
		if path := filepath.Join(c.dir, name); path != c.best(state.BestStep) {
			err = errors.Join(err, os.Remove(path))
		}
	}
	return err
}

// load fills tensors from last.safetensors. Without one, or with one of another fingerprint, it returns fresh and, for the
// latter, a note.
func (c *checkpoint) load(tensors []weights.Tensor, fresh State) (State, string, error) {
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
	if err := Fill(tensors, file); err != nil {
		return fresh, "", err
	}
	return saved, "", nil
}

// Fill copies the tensors of these names out of a file.
func Fill(tensors []weights.Tensor, file *weights.File) error {
	for _, tensor := range tensors {
		stored, err := file.Tensor(tensor.Name)
		if err != nil {
			return err
		}
		if len(stored.Data) != len(tensor.Data) {
			return fmt.Errorf("checkpoint: tensor %s has %d bytes, want %d", tensor.Name, len(stored.Data), len(tensor.Data))
		}
		copy(tensor.Data, stored.Data)
	}
	return nil
}

// View is a tensor over values themselves. safetensors is little-endian, as is every machine that libtorch 2.1 runs on.
func View(name string, values []float32, shape ...int64) weights.Tensor {
	data := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), 4*len(values))
	return weights.Tensor{Name: name, DType: "F32", Shape: shape, Data: data}
}
