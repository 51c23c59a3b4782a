package llama

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
)

// stretch is how many bytes at the beginning, in the middle and at the end of each tensor go into the fingerprint. Who
// trains a model, merges an adapter or quantises it changes the tensors that are touched nearly everywhere.
const stretch = 4096

// digest makes the fingerprint: SHA-256 of the config and, for each tensor by name, its type, shape and three stretches.
func (c *Checkpoint) digest() (string, error) {
	hash := sha256.New()
	if err := json.NewEncoder(hash).Encode(c.config); err != nil {
		return "", err
	}
	for _, name := range c.Names() {
		s := c.tensors[name]
		fmt.Fprintf(hash, "%q %s %v\n", name, s.dtype, s.shape)
		r, err := c.files.reader(s.name)
		if err != nil {
			return "", err
		}
		if err := stretches(hash, r); err != nil {
			return "", fmt.Errorf("%s: tensor %q: %w", c.path, name, err)
		}
	}
	return hex.EncodeToString(hash.Sum(nil)[:16]), nil
}

// stretches copies the three stretches of a tensor, or all of a small one.
func stretches(hash io.Writer, r *io.SectionReader) error {
	if r.Size() <= 3*stretch {
		_, err := io.Copy(hash, r)
		return err
	}
	for _, at := range []int64{0, (r.Size() - stretch) / 2, r.Size() - stretch} {
		if _, err := io.Copy(hash, io.NewSectionReader(r, at, stretch)); err != nil {
			return err
		}
	}
	return nil
}
