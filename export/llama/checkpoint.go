package llama

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"mllm4rec/export/weights"
	"mllm4rec/internal/fail"
)

// Checkpoint is an open model: its config, and its tensors under Hugging Face's names, rows of q and k in Hugging Face's
// order, whatever file they lie in. A tied head can be asked for under its own name. Its methods may be called at once
// from several goroutines, until Close; what they return belongs to the caller.
type Checkpoint struct {
	path        string
	config      Config
	files       container
	tensors     map[string]stored // by Hugging Face's name
	fingerprint string
}

// container is a file or folder of weights.
type container interface {
	// list gives what it holds under its own names.
	list() map[string]stored
	// view calls use with a tensor's bytes, which are gone when use returns.
	view(name string, use func(raw []byte) error) error
	// reader streams parts of a tensor's bytes.
	reader(name string) (*io.SectionReader, error)
	Close() error
}

// stored is a tensor in a container.
type stored struct {
	name  string // the container's
	dtype weights.DType
	shape []int64
	heads int // of so many heads the rows lie in the order of storedRow; 0: they lie as they are
}

// columns is the length of a row; numbers without rows are rows of 1.
func (s stored) columns() int {
	if len(s.shape) < 2 {
		return 1
	}
	return int(s.shape[len(s.shape)-1])
}

func (s stored) elements() int {
	n := 1
	for _, dim := range s.shape {
		n *= int(dim)
	}
	return n
}

// Open opens a Hugging Face folder (config.json beside model.safetensors or its shards) or a .gguf file. A file that is
// damaged, a model of another kind, and weights that do not fit the config are usage errors that name the tensor or key.
func Open(path string) (*Checkpoint, error) {
	stat, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fail.Usagef("%s: no such model; give a Hugging Face folder or a .gguf file", path)
	}
	if err != nil {
		return nil, err
	}
	c := &Checkpoint{path: path}
	if stat.IsDir() {
		c.config, c.files, err = openFolder(path)
	} else {
		c.config, c.files, err = openGGUF(path)
	}
	if err != nil {
		return nil, err
	}
	if err = c.match(); err == nil {
		c.fingerprint, err = c.digest()
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// match finds every tensor that the config asks for, checks type and shape, and refuses tensors that it does not ask for.
func (c *Checkpoint) match() error {
	held := c.files.list()
	c.tensors = map[string]stored{}
	for _, want := range c.config.expect() {
		got, ok := held[want.name]
		if !ok {
			return fail.Usagef("%s: tensor %q is missing; the file is of another model than its config, or not whole", c.path, want.name)
		}
		if !slices.Equal(got.shape, want.shape) {
			return fail.Usagef("%s: %w", c.path, c.wrongShape(want, got))
		}
		if err := got.dtype.Decodable(); err != nil {
			return fail.Usagef("%s: tensor %q: %w", c.path, want.name, err)
		}
		c.tensors[want.name] = got
		delete(held, want.name)
	}
	for _, name := range sortedKeys(held) {
		if !c.config.needless(name) {
			return fail.Usagef("%s: tensor %q is no part of a %s model of %d layers as its config describes it", c.path, name, c.config.Architecture, c.config.Layers)
		}
	}
	if c.config.TieEmbeddings {
		c.tensors[headName] = c.tensors[embeddingName]
	}
	return nil
}

func (c *Checkpoint) wrongShape(want expected, got stored) error {
	if (want.name == embeddingName || want.name == headName) && len(got.shape) == 2 && got.shape[1] == want.shape[1] {
		return fmt.Errorf("tensor %q has a vocabulary of %d, the config one of %d: vocabulary of another model", want.name, got.shape[0], want.shape[0])
	}
	return fmt.Errorf("tensor %q is %v, the config asks for %v", want.name, got.shape, want.shape)
}

// Config is what the model is.
func (c *Checkpoint) Config() Config { return c.config }

// Path is the folder or file that the checkpoint was opened from.
func (c *Checkpoint) Path() string { return c.path }

// Names are the names of all tensors, sorted; that of a tied head is among them.
func (c *Checkpoint) Names() []string { return sortedKeys(c.tensors) }

// Info tells a tensor's type ("F32", "BF16", "Q4_1", …) and shape, [out, in]. A name that the model does not have is a
// usage error.
func (c *Checkpoint) Info(name string) (dtype string, shape []int64, err error) {
	s, err := c.find(name)
	return string(s.dtype), slices.Clone(s.shape), err
}

func (c *Checkpoint) find(name string) (stored, error) {
	s, ok := c.tensors[name]
	if !ok {
		return stored{}, fail.Usagef("%s: a %s model has no tensor %q", c.path, c.config.Architecture, name)
	}
	return s, nil
}

// Float32 reads a tensor whole, decoded, with its shape, [out, in].
func (c *Checkpoint) Float32(name string) ([]float32, []int64, error) {
	s, err := c.find(name)
	if err != nil {
		return nil, nil, err
	}
	values := make([]float32, s.elements())
	err = c.files.view(s.name, func(raw []byte) error {
		if s.heads == 0 {
			return s.dtype.Decode(values, raw)
		}
		return s.decodeRows(values, raw, len(values)/s.columns(), func(i int) int { return i })
	})
	return values, slices.Clone(s.shape), err
}

// Rows reads some rows of a matrix, decoded, [len(rows), in]: letters of the head, a stretch of a large embedding.
func (c *Checkpoint) Rows(name string, rows []int) ([]float32, error) {
	s, err := c.find(name)
	if err != nil {
		return nil, err
	}
	if len(s.shape) != 2 {
		return nil, fmt.Errorf("%s: tensor %q is %v: it has no rows", c.path, name, s.shape)
	}
	for _, row := range rows {
		if row < 0 || int64(row) >= s.shape[0] {
			return nil, fmt.Errorf("%s: tensor %q has no row %d, its shape is %v", c.path, name, row, s.shape)
		}
	}
	values := make([]float32, len(rows)*s.columns())
	err = c.files.view(s.name, func(raw []byte) error {
		return s.decodeRows(values, raw, len(rows), func(i int) int { return rows[i] })
	})
	return values, err
}

// decodeRows decodes count rows, the i-th of them row which(i) in Hugging Face's order.
func (s stored) decodeRows(values []float32, raw []byte, count int, which func(i int) int) error {
	columns := s.columns()
	bytes := s.rowBytes()
	for i := range count {
		row := s.row(which(i))
		if err := s.dtype.Decode(values[i*columns:(i+1)*columns], raw[row*bytes:(row+1)*bytes]); err != nil {
			return err
		}
	}
	return nil
}

// row is where a row in Hugging Face's order lies.
func (s stored) row(i int) int {
	if s.heads == 0 {
		return i
	}
	return storedRow(i, int(s.shape[0])/s.heads)
}

func (s stored) rowBytes() int {
	elements, bytes := s.dtype.Block()
	return s.columns() / int(elements) * int(bytes)
}

// Blocks reads a tensor whole as the file stores it (see Info for its type), rows in Hugging Face's order. Rows are whole
// blocks.
func (c *Checkpoint) Blocks(name string) ([]byte, error) {
	s, err := c.find(name)
	if err != nil {
		return nil, err
	}
	var blocks []byte
	err = c.files.view(s.name, func(raw []byte) error {
		blocks = make([]byte, len(raw))
		if s.heads == 0 {
			copy(blocks, raw)
			return nil
		}
		bytes := s.rowBytes()
		for i := range len(raw) / bytes {
			copy(blocks[i*bytes:(i+1)*bytes], raw[s.row(i)*bytes:])
		}
		return nil
	})
	return blocks, err
}

// Fingerprint identifies the base model by its config and its weights, not by where they lie: it is the same for one file
// and for shards. An adapter or a checkpoint of training belongs to one fingerprint.
func (c *Checkpoint) Fingerprint() string { return c.fingerprint }

// Close frees the files.
func (c *Checkpoint) Close() error { return c.files.Close() }
