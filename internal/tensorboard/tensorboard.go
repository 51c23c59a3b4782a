// Package tensorboard writes scalars into event files that TensorBoard reads. Values flow in, one file per process flows
// out, named events.out.tfevents.<seconds>.<host>.<pid>.<n>. It follows tensorflow/core/lib/io/record_writer.h (framing),
// tensorflow/core/util/event.proto and tensorflow/core/framework/summary.proto (messages).
//
// Event files are logs: they grow in place and are not written through atomicfile. A killed process leaves whole records
// and at most one torn one at the end, which TensorBoard skips. A resumed process starts a new file in the same folder,
// never appends to an old one, and calls Restart so that steps which are trained a second time are shown once.
package tensorboard

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Writer appends events to one file. Its methods may be called from several goroutines.
type Writer struct {
	mu   sync.Mutex
	file *os.File
	// record is the last record's memory, kept for the next one.
	record []byte
}

// Create opens a new event file in dir, making the folder where it is missing, and writes the file version.
func Create(dir string) (*Writer, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("tensorboard: %w", err)
	}
	now := time.Now()
	file, err := createNew(dir, now)
	if err != nil {
		return nil, fmt.Errorf("tensorboard: %w", err)
	}
	w := &Writer{file: file}
	if err := w.append(fileVersionEvent(now)); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return w, nil
}

// createNew opens a file that no other process has. TensorBoard reads a folder's files in the order of their names, so
// the name starts with the time.
func createNew(dir string, now time.Time) (*os.File, error) {
	for n := 0; ; n++ {
		name := fmt.Sprintf("events.out.tfevents.%010d.%s.%d.%d", now.Unix(), hostname(), os.Getpid(), n)
		file, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o644)
		if !errors.Is(err, fs.ErrExist) {
			return file, err
		}
	}
}

// hostname is this machine's name with nothing in it that a file name should not hold.
func hostname() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "localhost"
	}
	return strings.Map(func(r rune) rune {
		if r == '/' || r == '\\' || r <= ' ' {
			return '-'
		}
		return r
	}, name)
}

// Scalar appends one value of the curve tag, such as "train/loss". The value is stored as float32, as TensorBoard does;
// NaN and infinities are kept. The record is handed to the operating system before Scalar returns.
func (w *Writer) Scalar(tag string, step int64, value float64, wall time.Time) error {
	return w.append(scalarEvent(tag, step, value, wall))
}

// Restart tells TensorBoard that training goes on after step: it then drops what earlier files say of later steps.
func (w *Writer) Restart(step int64, wall time.Time) error {
	return w.append(restartEvent(step+1, wall))
}

// append writes one event with a single write call, so that a kill tears at most the last record.
func (w *Writer) append(event []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.record = appendRecord(w.record[:0], event)
	if _, err := w.file.Write(w.record); err != nil {
		return fmt.Errorf("tensorboard: %w", err)
	}
	return nil
}

// Close syncs the file and closes it.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return errors.Join(w.file.Sync(), w.file.Close())
}
