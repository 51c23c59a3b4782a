package loop

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"mllm4rec/internal/atomicfile"
	"mllm4rec/internal/tensorboard"
)

// line is one of train_log.jsonl: a mean training loss, or a validation.
type line struct {
	Step    int                `json:"step"`
	Loss    *float64           `json:"loss,omitempty"`
	Rate    *float64           `json:"lr,omitempty"`
	Norm    *float64           `json:"grad_norm,omitempty"`
	Seconds *float64           `json:"seconds,omitempty"`
	Val     map[string]float64 `json:"val,omitempty"`
}

// journal writes train_log.jsonl and the TensorBoard events. It is a log: it grows in place; a resumed run first drops the
// lines beyond its checkpoint, which it will write again.
type journal struct {
	file  *os.File
	board *tensorboard.Writer
}

func openJournal(dir string, at State) (*journal, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "train_log.jsonl")
	if err := cutJournal(path, at); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	board, err := tensorboard.Create(filepath.Join(dir, "tensorboard"))
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &journal{file: file, board: board}, board.Restart(int64(at.Step), time.Now())
}

// cutJournal keeps the lines up to the checkpoint; a torn last line goes, too.
func cutJournal(path string, at State) error {
	old, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		for text := range bytes.Lines(old) {
			var l line
			if json.Unmarshal(text, &l) != nil || l.Step > at.Step || l.Val != nil && l.Step > at.Validated {
				continue
			}
			if _, err := w.Write(append(bytes.TrimSuffix(text, []byte("\n")), '\n')); err != nil {
				return err
			}
		}
		return nil
	})
}

// write appends a line and its scalars ("train/loss", "val/recall@10", …).
func (j *journal) write(l line) error {
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	if _, err := j.file.Write(append(text, '\n')); err != nil {
		return err
	}
	now, step := time.Now(), int64(l.Step)
	scalar := func(tag string, value float64) { err = errors.Join(err, j.board.Scalar(tag, step, value, now)) }
	if l.Loss != nil {
		scalar("train/loss", *l.Loss)
		scalar("train/learning_rate", *l.Rate)
		scalar("train/gradient_norm", *l.Norm)
	}
	for name, value := range l.Val {
		scalar("val/"+name, value)
	}
	return err
}

func (j *journal) close() error { return errors.Join(j.file.Sync(), j.file.Close(), j.board.Close()) }
