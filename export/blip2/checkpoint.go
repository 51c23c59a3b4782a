package blip2

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"mllm4rec/export/weights"
	"mllm4rec/internal/fail"
)

// Checkpoint is an open model. Its methods may be called at once from several goroutines, until Close.
type Checkpoint struct {
	dir         string
	config      Config
	pictures    Pictures
	files       *weights.Folder
	fingerprint string
}

// Open opens a Hugging Face folder: config.json and preprocessor_config.json beside model.safetensors or its shards. A
// damaged file, a model of another kind, and weights that do not fit the config are usage errors that name the tensor or
// key.
func Open(dir string) (*Checkpoint, error) {
	config, err := ReadConfig(filepath.Join(dir, "config.json"))
	if err != nil {
		return nil, err
	}
	pictures, err := readPictures(dir, config.Vision.ImageSize)
	if err != nil {
		return nil, err
	}
	files, err := weights.OpenFolder(dir)
	if err != nil {
		return nil, err
	}
	c := &Checkpoint{dir: dir, config: config, pictures: pictures, files: files}
	if err = c.match(); err == nil {
		c.fingerprint, err = c.digest()
	}
	if err != nil {
		return nil, errors.Join(err, files.Close())
	}
	return c, nil
}

// match finds every tensor that the config asks for, checks type and shape, and refuses tensors of other layers.
func (c *Checkpoint) match() error {
	expected := c.config.Tensors()
	for _, name := range slices.Sorted(maps.Keys(expected)) {
		want := expected[name]
		got, err := c.files.Info(name)
		if err != nil {
			return fail.Usagef("%s: tensor %q is missing; the weights are of another model than config.json, or not whole", c.dir, name)
		}
		if !slices.Equal(got.Shape, want) {
			return fail.Usagef("%s: tensor %q is %v, config.json asks for %v", c.dir, name, got.Shape, want)
		}
		if err := got.DType.Decodable(); err != nil {
			return fail.Usagef("%s: tensor %q: %w", c.dir, name, err)
		}
	}
	for _, name := range c.files.Names() {
		if _, known := expected[name]; !known && foreign(name) {
			return fail.Usagef("%s: tensor %q is no part of the model that config.json describes", c.dir, name)
		}
	}
	return nil
}

// digest makes the fingerprint: SHA-256 of the config and, for each tensor by name, its type, shape and three stretches.
func (c *Checkpoint) digest() (string, error) {
	hash := sha256.New()
	if err := json.NewEncoder(hash).Encode(c.config); err != nil {
		return "", err
	}
	for _, name := range slices.Sorted(maps.Keys(c.config.Tensors())) {
		info, err := c.files.Info(name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(hash, "%q %s %v\n", name, info.DType, info.Shape)
		r, err := c.files.Reader(name)
		if err != nil {
			return "", err
		}
		if err := weights.CopyStretches(hash, r); err != nil {
			return "", fmt.Errorf("%s: tensor %q: %w", c.dir, name, err)
		}
	}
	return hex.EncodeToString(hash.Sum(nil)[:16]), nil
}

// Config is what the model is.
func (c *Checkpoint) Config() Config { return c.config }

// Pictures is how the model wants its pictures.
func (c *Checkpoint) Pictures() Pictures { return c.pictures }

// Fingerprint identifies the model by its config and its weights, not by where they lie.
func (c *Checkpoint) Fingerprint() string { return c.fingerprint }

// Values reads a tensor whole, decoded.
func (c *Checkpoint) Values(name string) ([]float32, error) {
	values, _, err := c.files.Float32(name)
	return values, err
}

// Rows reads the rows from up to to of a matrix, decoded.
func (c *Checkpoint) Rows(name string, from, to int) ([]float32, error) {
	info, err := c.files.Info(name)
	if err != nil {
		return nil, err
	}
	columns := int(info.Shape[len(info.Shape)-1])
	bytes := columns * int(info.DType.Size())
	values := make([]float32, (to-from)*columns)
	err = c.files.View(name, func(raw []byte) error { return info.DType.Decode(values, raw[from*bytes:to*bytes]) })
	return values, err
}

// Close frees the files.
func (c *Checkpoint) Close() error { return c.files.Close() }
